// Transactions in threads over a small arena: every answer is what the reader's snapshot holds.
// Run under ThreadSanitizer too, which knows the orderings that the code states.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <random>
#include <set>
#include <thread>

#include "arena_memory.h"

namespace teamscale::core {
namespace {

constexpr std::uint64_t kKeys = 40;

// As much of a database as the horizon rule needs: ids of transactions, who runs, what is there.
class Database {
 public:
  struct Snapshot {
    std::uint64_t horizon;
    std::array<std::uint64_t, kKeys> versions;
  };

  std::uint64_t Begin() {
    std::lock_guard lock(mutex_);
    running_.insert(next_);
    return next_++;
  }
  void Commit(std::uint64_t xid, const std::vector<std::uint64_t>& keys) {
    std::lock_guard lock(mutex_);
    running_.erase(xid);
    for (std::uint64_t key : keys) versions_[key] = xid;
  }
  void Roll(std::uint64_t xid) {
    std::lock_guard lock(mutex_);
    running_.erase(xid);
  }
  Snapshot Take() {
    std::lock_guard lock(mutex_);
    return {running_.empty() ? next_ : *running_.begin(), versions_};
  }
  std::uint64_t next() {
    std::lock_guard lock(mutex_);
    return next_;
  }

 private:
  std::mutex mutex_;
  std::uint64_t next_ = 10;
  std::set<std::uint64_t> running_;
  std::array<std::uint64_t, kKeys> versions_{};
};

// Of a length that differs from version to version: a torn one would not be equal.
std::string ValueOf(std::uint64_t key, std::uint64_t version) {
  std::string part = std::to_string(key) + ":" + std::to_string(version) + ";";
  std::string value;
  for (std::uint64_t i = 0; i <= (key * 7 + version) % 40; ++i) value += part;
  return value;
}

class Workload {
 public:
  // Small enough that entries push each other out.
  explicit Workload(std::uint64_t transactions)
      : memory_(Arena::MinimalBytes(4)), count_(transactions) {}

  void Read(unsigned seed) {
    std::mt19937_64 random(seed);
    for (std::uint64_t i = 0; i < count_; ++i) {
      Database::Snapshot snapshot = database_.Take();
      for (int j = 0; j < 8; ++j) {
        std::uint64_t key = random() % kKeys;
        Reader reader = memory_.ReaderAt(snapshot.horizon);
        std::string expected = ValueOf(key, snapshot.versions[key]);
        std::optional<std::string> got = memory_.Get(key, reader);
        if (!got)
          memory_.Put(key, reader, expected);
        else if (*got != expected)
          ++differences;
        else
          ++hits;
      }
      if (random() % 4 == 0) {  // pushes others out
        std::uint64_t other = kKeys + random() % 1000;
        memory_.Put(other, memory_.ReaderAt(snapshot.horizon), ValueOf(other, 0));
      }
    }
  }

  void Write(unsigned seed) {
    std::mt19937_64 random(seed);
    for (std::uint64_t i = 0; i < count_; ++i) {
      std::uint64_t xid = database_.Begin();
      std::vector<std::uint64_t> keys;
      for (std::uint64_t j = random() % 3 + 1; j > 0; --j) {
        std::uint64_t key = random() % kKeys;
        keys.push_back(key);
        if (!memory_.arena.IsRecorded(HashOf(key), xid)) memory_.Record(key, xid);
      }
      if (random() % 4 == 0)
        database_.Roll(xid);
      else
        database_.Commit(xid, keys);
      if (random() % 500 == 0) {
        std::lock_guard lock(definition_);
        memory_.arena.RaiseFloor(0, database_.next() - 1);
      }
    }
  }

  std::string Problems() { return memory_.Problems(); }

  std::atomic<std::uint64_t> differences = 0;
  std::atomic<std::uint64_t> hits = 0;

 private:
  ArenaMemory memory_;
  Database database_;
  std::mutex definition_;
  std::uint64_t count_;
};

TEST(ArenaThreads, EveryHitIsWhatTheSnapshotHolds) {
  Workload run(4000);
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < 3; ++i) threads.emplace_back([&run, i] { run.Read(i); });
  for (unsigned i = 0; i < 2; ++i) threads.emplace_back([&run, i] { run.Write(100 + i); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(run.differences, 0U);
  EXPECT_GT(run.hits, 1000U);
  EXPECT_EQ(run.Problems(), "");
}

}  // namespace
}  // namespace teamscale::core

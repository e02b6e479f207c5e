// An arena of its own for a test, with its locks, and values that show whose they are.
#pragma once

#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "teamscale/core/cache/arena.h"

namespace teamscale::core {

// Spreads numbers as a hash of a type would.
inline std::uint64_t HashOf(std::uint64_t number) {
  number += 0x9e3779b97f4a7c15;
  number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9;
  number = (number ^ (number >> 27)) * 0x94d049bb133111eb;
  return number ^ (number >> 31);
}

class ArenaMemory {
 public:
  explicit ArenaMemory(std::uint64_t bytes, std::uint32_t caches = 4)
      : memory_(new (std::align_val_t{kCacheLine}) std::byte[bytes]{}) {
    Arena::Format(memory_.get(), bytes, caches);
    arena = Arena(memory_.get());
    locks_ = std::make_unique<std::mutex[]>(arena.stripes());
    for (std::uint32_t i = 0; i < caches; ++i) arena.RaiseFloor(i, 1);
  }

  Reader ReaderAt(std::uint64_t horizon, std::uint32_t cache = 0) const {
    std::uint64_t stamp = arena.Stamp(cache);
    return {stamp, arena.Floor(cache), horizon};
  }

  std::unique_lock<std::mutex> Lock(std::uint64_t hash) {
    return std::unique_lock(locks_[arena.StripeOf(hash)]);
  }

  Install Put(std::uint64_t key, const Reader& reader, const std::string& value,
              std::int64_t expires = 0) {
    auto lock = Lock(HashOf(key));
    return arena.Put({HashOf(key), {&key, 1}}, reader,
                     {std::as_bytes(std::span(value)), 0, expires});
  }

  void Record(std::uint64_t key, std::uint64_t writer) {
    auto lock = Lock(HashOf(key));
    arena.Record(HashOf(key), writer);
  }

  Lookup Outcome(std::uint64_t key, const Reader& reader) const {
    return arena.Find({HashOf(key), {&key, 1}}, reader).outcome;
  }

  // The value, when it is there.
  std::optional<std::string> Get(std::uint64_t key, const Reader& reader) const {
    for (;;) {
      Found found = arena.Find({HashOf(key), {&key, 1}}, reader);
      if (found.outcome != Lookup::kHit) return std::nullopt;
      std::vector<std::uint64_t> words(WordsOfBytes(found.value_bytes) + 1);
      if (!arena.Read(found, words.data())) continue;
      return std::string(reinterpret_cast<const char*>(words.data()), found.value_bytes);
    }
  }

  std::string Problems() {
    std::string problems;
    for (std::uint32_t i = 0; i < arena.stripes(); ++i) {
      std::unique_lock lock(locks_[i]);
      problems += arena.Check(i);
    }
    return problems;
  }

  Arena arena;

 private:
  struct Deleter {
    void operator()(std::byte* memory) const {
      ::operator delete[](memory, std::align_val_t{kCacheLine});
    }
  };
  std::unique_ptr<std::byte[], Deleter> memory_;
  std::unique_ptr<std::mutex[]> locks_;
};

}  // namespace teamscale::core

// A model of the arena's eviction: S3-FIFO over keys and sizes, without values. Lives in memory
// that its user gives; one caller at a time.
#pragma once

#include <cstdint>

namespace teamscale::core {

struct ModelKey {
  std::uint64_t hash;
  std::uint32_t next_of_bucket;
  std::uint32_t previous, next;  // in its queue
  std::uint16_t blocks;
  std::uint8_t popularity;
  std::uint8_t queue;
};
static_assert(sizeof(ModelKey) == 24);

class PolicyModel {
 public:
  // Memory for a model of an arena of so many blocks; zeroed, it is an empty one.
  static std::uint64_t Bytes(std::uint32_t blocks);
  PolicyModel(void* memory, std::uint32_t blocks);

  // A look-up of a key whose answer takes so many blocks, which is installed unless it was there.
  // Gives whether it was.
  bool Access(std::uint64_t hash, std::uint32_t blocks);
  // A writer's.
  void Drop(std::uint64_t hash);

 private:
  enum Queue : std::uint8_t { kFree, kSmall, kMain, kGhost, kQueues };
  struct QueueState {
    std::uint32_t first, last, keys, blocks;
  };
  struct Header {
    std::uint32_t used;  // keys that were ever taken: those above were never
    QueueState queue[kQueues];
  };

  std::uint32_t* BucketOf(std::uint64_t hash) const;
  std::uint32_t Find(std::uint64_t hash) const;
  void Append(Queue queue, std::uint32_t key) const;
  void Unlink(std::uint32_t key) const;
  void Remove(std::uint32_t key) const;
  std::uint32_t TakeKey() const;
  void Install(Queue queue, std::uint64_t hash, std::uint32_t blocks) const;
  void EvictOne(int* spared) const;
  std::uint32_t BlocksInUse() const;

  std::uint32_t capacity_;
  std::uint32_t buckets_;  // a power of two
  Header* header_;
  std::uint32_t* bucket_;
  ModelKey* key_;  // from 1 on; 0 is none
};

}  // namespace teamscale::core

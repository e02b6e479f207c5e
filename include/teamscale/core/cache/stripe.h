// One stripe of the arena from the writers' side: free blocks, queues, eviction. Under its lock.
#pragma once

#include <cstdint>

#include "teamscale/core/cache/arena.h"
#include "teamscale/core/cache/eviction.h"

namespace teamscale::core {

// Loads and stores of writers. Under the lock a relaxed load would do; stores are seen by readers.
inline std::uint64_t Get(const Word& word) { return word.load(std::memory_order_relaxed); }
inline void Set(Word& word, std::uint64_t value) { word.store(value, std::memory_order_release); }

// --- References of buckets

constexpr std::uint64_t kPopularityOne = std::uint64_t{1} << 32;
constexpr std::uint64_t kPopularityMask = kMaxPopularity << 32;
constexpr std::uint64_t kTagMask = ~std::uint64_t{0} << 34;
constexpr std::uint64_t TagOf(std::uint64_t hash) { return hash & kTagMask; }
constexpr std::uint64_t PopularityOf(std::uint64_t reference) {
  return (reference & kPopularityMask) >> 32;
}

// A change of a bucket: odd while it lasts.
class BucketChange {
 public:
  explicit BucketChange(CacheBucket* bucket) : bucket_(bucket), version_(Get(bucket->version)) {
    bucket_->version.store(version_ + 1, std::memory_order_relaxed);
  }
  BucketChange(const BucketChange&) = delete;
  BucketChange& operator=(const BucketChange&) = delete;
  ~BucketChange() { Set(bucket_->version, version_ + 2); }

 private:
  CacheBucket* bucket_;
  std::uint64_t version_;
};

class Stripe {
 public:
  Stripe(const Arena& arena, std::uint32_t index);

  StripeHeader& header() const { return *header_; }
  Block& block(std::uint64_t index) const { return blocks_[index]; }
  CacheBucket& bucket(std::uint32_t index) const { return buckets_[index]; }
  CacheBucket* BucketOf(std::uint64_t hash) const { return buckets_ + arena_.BucketIndex(hash); }
  std::uint32_t bucket_count() const { return arena_.header_->buckets; }
  std::uint32_t block_count() const { return arena_.header_->blocks; }
  std::uint32_t largest_entry() const { return (block_count() - 1) / 4; }
  bool IsCurrent(std::uint64_t stamp) const {
    return arena_.Stamp(static_cast<std::uint32_t>(stamp >> kGenerationBits)) == stamp;
  }

  // Takes an entry out of its bucket and its queue and frees its blocks.
  void Remove(CacheBucket* bucket, int place) const;
  // Whether an entry is worth its place: its key is made a ghost when it leaves.
  void RemoveAsGhost(CacheBucket* bucket, int place) const;
  // The place of the entry in its bucket.
  int PlaceOf(const CacheBucket* bucket, std::uint32_t block_index) const;

  // Evicts until so many blocks are free; no more than largest_entry().
  void MakeRoom(std::uint32_t wanted) const;
  // A free place in the bucket: of the least popular entry, if all are taken.
  int MakePlace(CacheBucket* bucket) const;
  // A chain of free blocks. MakeRoom saw to it that they are there.
  std::uint32_t TakeBlocks(std::uint32_t count) const;

  void Append(Queue queue, std::uint32_t entry) const;
  // Whether the key left lately, and was not asked for enough, or was dropped by a writer.
  bool IsGhost(std::uint64_t hash) const;
  std::uint32_t ChainLength(std::uint32_t entry) const;

 private:
  void Unlink(std::uint32_t entry) const;
  void MakeGhost(std::uint64_t hash) const;
  void FreeBlocks(std::uint32_t entry) const;
  void EvictOne(int* spared) const;

  const Arena& arena_;
  StripeHeader* header_;
  CacheBucket* buckets_;
  Word* ghosts_;
  Block* blocks_;
};

}  // namespace teamscale::core

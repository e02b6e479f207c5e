// The arena: cached values in memory of a fixed size that many processes share.
//
// It is exact by the horizon rule: a value may be given to a reader, or installed by one, only if
// every writer of its bucket that was recorded, and the cache's floor, are below the reader's
// horizon. A writer records itself before it commits, which also drops the key's entries.
//
//   Find, Read       take no lock. A bucket's version says whether what was read belongs together.
//   Record, Install  by one process at a time per stripe: the caller holds the lock of the stripe
//                    that StripeOf names, and nothing here waits, allocates or fails while it does.
//
// Memory ordering of the readers, who take no lock. Writers store every word with release order,
// and the version before (odd) and after (even). Readers load every word with acquire order, and
// the version again at the end. So a reader that saw any word of a change, or of a block that was
// used again, also sees another version, and looks again: test and copy are one step. That a
// recorded writer is seen at all follows from the server: the writer recorded itself before it
// left the list of running transactions, and the reader's snapshot was taken after that.
//
// Evicting is S3-FIFO's: a small queue for the new, a main queue for those that were asked for
// again, and ghosts of those that were not. Popularity is kept in the bucket's references: a
// reader raises it by compare-and-swap, which does nothing to an entry that is gone.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "teamscale/core/cache/arena_layout.h"

namespace teamscale::core {

// A key: the same hash for all that the key's type calls equal, and its image as words.
struct CacheKey {
  std::uint64_t hash;
  std::span<const std::uint64_t> image;
};

// What a reader may see.
struct Reader {
  std::uint64_t stamp;
  std::uint64_t floor;
  std::uint64_t horizon;
  std::int64_t now = 0;  // microseconds; only for caches whose entries expire
};

enum class Lookup { kHit, kAbsent, kExpired, kRecentWrite };

struct Found {
  Lookup outcome;
  std::uint16_t flags = 0;
  std::uint32_t value_bytes = 0;
  // For Read.
  std::uint32_t stripe = 0;
  std::uint32_t bucket = 0;
  std::uint32_t block = 0;
  std::uint32_t key_words = 0;
  std::uint64_t version = 0;
};

enum class Install { kDone, kRecentWrite, kOutdated, kTooLarge };

struct NewValue {
  std::span<const std::byte> bytes;
  std::uint16_t flags = 0;
  std::int64_t expires = 0;
};

struct ArenaFigures {
  std::uint64_t bytes;        // of the whole arena
  std::uint64_t block_bytes;  // of it, for entries
  std::uint64_t used_bytes;   // of these, in use
  std::uint64_t entries;
  std::uint64_t evictions;
};

class Arena {
 public:
  // The least that makes an arena for so many caches.
  static std::uint64_t MinimalBytes(std::uint32_t caches);
  // How many blocks an arena has for entries.
  static std::uint64_t BlocksIn(std::uint64_t bytes, std::uint32_t caches);
  // Makes an empty arena of zeroed memory. Once, by one process.
  static void Format(void* memory, std::uint64_t bytes, std::uint32_t caches);

  Arena() = default;
  explicit Arena(void* memory);

  // --- Caches

  std::uint32_t caches() const { return header_->caches; }
  CacheState& state(std::uint32_t index) const { return states_[index]; }
  // Of a stamp that was read before the floor.
  std::uint64_t Stamp(std::uint32_t index) const {
    return states_[index].stamp.load(std::memory_order_acquire);
  }
  std::uint64_t Floor(std::uint32_t index) const {
    return states_[index].floor.load(std::memory_order_acquire);
  }
  // The floor never falls; then all entries of the cache are dropped, by a new stamp. One caller
  // at a time.
  void RaiseFloor(std::uint32_t index, std::uint64_t floor) const;
  // Gives the place to another owner: no floor, no entries. Whoever takes the stamp first and then
  // finds the owner that it expects has that owner's stamp.
  void Reset(std::uint32_t index, std::uint64_t owner) const;

  // --- Readers

  Found Find(const CacheKey& key, const Reader& reader) const noexcept;
  // Copies the value; room for whole words. False: it changed meanwhile, so Find again.
  bool Read(const Found& found, std::uint64_t* destination) const noexcept;

  // --- Writers

  std::uint32_t stripes() const { return header_->stripes; }
  std::uint32_t StripeOf(std::uint64_t hash) const {
    return static_cast<std::uint32_t>(hash >> 40) & (header_->stripes - 1);
  }
  // Whether this writer is recorded for the key and no entry of it is there: Record would change
  // nothing. Without the lock.
  bool IsRecorded(std::uint64_t hash, std::uint64_t writer) const noexcept;
  // Gives the number of entries that were dropped.
  int Record(std::uint64_t hash, std::uint64_t writer) const noexcept;
  Install Put(const CacheKey& key, const Reader& reader, const NewValue& value) const noexcept;
  // Drops the entries of a hash. No writer is recorded: nothing changed but the wish to keep them.
  int Drop(std::uint64_t hash) const noexcept;
  // Frees what earlier generations left in a stripe.
  void Sweep(std::uint32_t stripe) const noexcept;

  std::uint64_t largest_value_bytes() const;
  ArenaFigures Figures() const;

  // What is wrong with a stripe's structure; empty when all is well. Under its lock; allocates.
  std::string Check(std::uint32_t stripe) const;

 private:
  friend class Stripe;
  CacheBucket* BucketOf(std::uint64_t hash) const {
    return buckets(StripeOf(hash)) + BucketIndex(hash);
  }
  std::uint32_t BucketIndex(std::uint64_t hash) const {
    return static_cast<std::uint32_t>(hash) & (header_->buckets - 1);
  }
  std::byte* stripe(std::uint32_t index) const { return stripes_ + index * stripe_bytes_; }
  CacheBucket* buckets(std::uint32_t stripe_index) const {
    return reinterpret_cast<CacheBucket*>(stripe(stripe_index) + sizeof(StripeHeader));
  }
  Block* blocks(std::uint32_t stripe_index) const {
    return reinterpret_cast<Block*>(stripe(stripe_index) + blocks_offset_);
  }

  ArenaHeader* header_ = nullptr;
  CacheState* states_ = nullptr;
  std::byte* stripes_ = nullptr;
  std::uint64_t stripe_bytes_ = 0;
  std::uint64_t blocks_offset_ = 0;
};

}  // namespace teamscale::core

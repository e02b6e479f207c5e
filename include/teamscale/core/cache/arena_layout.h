// The memory of the cache, drawn. Offsets and indices only, never pointers: each process maps it
// where it likes. All of it is made of 8-byte words that are read and written atomically.
//
//   | ArenaHeader | CacheState x caches | Stripe | Stripe | ...
//
//   Stripe:  | StripeHeader (128) | CacheBucket x buckets | ghost word x ghosts | Block x blocks |
//
//   CacheBucket (one cache line), found by the key's hash; it is the *slot* of its keys as well:
//     word 0    version: odd while a writer changes the bucket, another one afterwards
//     word 1    newest writer: the highest full transaction id that wrote a key of this bucket; it
//               outlives the entries
//     word 2-7  references to entries:  | tag, 30 bits of the hash | popularity 2 | block 32 |
//
//   An entry is a chain of blocks (one cache line each). The first:
//     word 0    the key's hash
//     word 1    the stamp of the cache that it belongs to, as it was when the entry was installed
//     word 2    when it expires, in microseconds; 0: never
//     word 3    | value bytes 32 | key words 16 | flags 16 |
//     word 4    | previous 32 | next 32 |  in its queue
//     word 5    | queue 32 | following block 32 |
//     word 6-7  the entry's words: those of the key, then those of the value
//   Each further block:
//     word 0    | 0 | following block 32 |
//     word 1-7  the entry's words, continued
//
// Block 0 of a stripe is never used: index 0 is "none".
//
// Terms: a *horizon* is a snapshot's xmin as a full (64-bit) transaction id; a *stamp* names a
// cache and a generation of it: entries of an earlier generation are as good as gone.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace teamscale::core {

using Word = std::atomic<std::uint64_t>;
static_assert(Word::is_always_lock_free && sizeof(Word) == 8);

inline constexpr std::size_t kCacheLine = 64;
inline constexpr int kReferences = 6;

struct alignas(kCacheLine) CacheBucket {
  Word version;
  Word newest_writer;
  Word references[kReferences];
};
static_assert(sizeof(CacheBucket) == kCacheLine);

inline constexpr std::uint32_t kHeadWords = 2;  // of the entry's words, in its first block
inline constexpr std::uint32_t kTailWords = 7;  // in each further one

struct alignas(kCacheLine) Block {
  Word words[8];
};
static_assert(sizeof(Block) == kCacheLine);

enum BlockWord { kHashWord, kStampWord, kExpiryWord, kShapeWord, kQueueWord, kChainWord, kData };

// The stamp and the floor of one cache. Readers take the stamp first, then the floor; whoever
// raises the floor does so before it changes the stamp.
struct alignas(kCacheLine) CacheState {
  Word stamp;  // | index 16 | generation 48 |
  Word floor;  // no answer for a horizon at or below it; kNoFloor before the first use
  Word owner;  // whose place it is; 0: nobody's
  Word blocks;
};
inline constexpr std::uint64_t kNoFloor = ~std::uint64_t{0};
inline constexpr int kGenerationBits = 48;

enum Queue : std::uint32_t { kSmall = 1, kMain = 2 };

// Changed under the stripe's lock only; read without it by views.
struct alignas(kCacheLine) StripeHeader {
  Word free_block;                  // the free blocks, linked by their chain word
  Word free_blocks;                 // how many
  Word first[3], last[3], size[3];  // of each queue, in blocks; [0] is not used
  Word ghost_clock;                 // keys that were made ghosts so far
  Word entries;
  Word evictions;
};
static_assert(sizeof(StripeHeader) == 2 * kCacheLine);

struct alignas(kCacheLine) ArenaHeader {
  std::uint64_t bytes;
  std::uint32_t caches;
  std::uint32_t stripes;  // a power of two
  std::uint32_t buckets;  // of a stripe; a power of two
  std::uint32_t ghosts;   // of a stripe; a power of two
  std::uint32_t blocks;   // of a stripe, block 0 included
};

constexpr std::uint64_t Pack(std::uint32_t high, std::uint32_t low) {
  return std::uint64_t{high} << 32 | low;
}
constexpr std::uint32_t High(std::uint64_t word) { return static_cast<std::uint32_t>(word >> 32); }
constexpr std::uint32_t Low(std::uint64_t word) { return static_cast<std::uint32_t>(word); }

struct Shape {
  std::uint32_t value_bytes;
  std::uint16_t key_words;
  std::uint16_t flags;
};
constexpr std::uint64_t PackShape(Shape s) {
  return Pack(s.value_bytes, std::uint32_t{s.key_words} << 16 | s.flags);
}
constexpr Shape UnpackShape(std::uint64_t word) {
  return {High(word), static_cast<std::uint16_t>(Low(word) >> 16),
          static_cast<std::uint16_t>(Low(word))};
}
constexpr std::uint64_t WordsOfBytes(std::uint64_t bytes) { return (bytes + 7) / 8; }
constexpr std::uint64_t EntryWords(Shape s) { return s.key_words + WordsOfBytes(s.value_bytes); }
constexpr std::uint64_t BlocksOfWords(std::uint64_t words) {
  return words <= kHeadWords ? 1 : 1 + (words - kHeadWords + kTailWords - 1) / kTailWords;
}

}  // namespace teamscale::core

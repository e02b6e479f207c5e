// Readers: no lock, no store but the popularity.
#include <algorithm>

#include "teamscale/core/cache/arena.h"
#include "teamscale/core/cache/stripe.h"

namespace teamscale::core {

namespace {

constexpr int kAttempts = 64;

std::uint64_t See(const Word& word) { return word.load(std::memory_order_acquire); }

void Relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// Goes through an entry's words. What it reads may be of a block that was used again meanwhile:
// then the chain leads anywhere, but never out of the stripe.
class WordsOfEntry {
 public:
  WordsOfEntry(const Block* blocks, std::uint32_t count, std::uint32_t first)
      : blocks_(blocks), count_(count), block_(&blocks[first]) {}

  std::uint64_t Next() {
    if (place_ == kEnd) {
      std::uint32_t next = Low(See(block_->words[head_ ? kChainWord : 0]));
      block_ = &blocks_[next < count_ ? next : 0];
      place_ = 1;
      head_ = false;
    }
    return See(block_->words[place_++]);
  }

  // The words of one block at a time: what is left of the present one, at most so many.
  std::uint64_t Copy(std::uint64_t* destination, std::uint64_t wanted) {
    *destination = Next();
    std::uint64_t more = std::min<std::uint64_t>(wanted - 1, kEnd - place_);
    for (std::uint64_t i = 0; i < more; ++i) destination[1 + i] = See(block_->words[place_ + i]);
    place_ += static_cast<std::uint32_t>(more);
    return 1 + more;
  }

 private:
  static constexpr std::uint32_t kEnd = 8;
  const Block* blocks_;
  std::uint32_t count_;
  const Block* block_;
  std::uint32_t place_ = kData;
  bool head_ = true;
};

bool HasKey(const Block* blocks, std::uint32_t count, std::uint32_t entry, const CacheKey& key,
            std::uint64_t stamp, Shape* shape) {
  const Block& head = blocks[entry];
  if (See(head.words[kHashWord]) != key.hash || See(head.words[kStampWord]) != stamp) return false;
  *shape = UnpackShape(See(head.words[kShapeWord]));
  if (shape->key_words != key.image.size()) return false;
  WordsOfEntry words(blocks, count, entry);
  return std::all_of(key.image.begin(), key.image.end(),
                     [&](std::uint64_t word) { return words.Next() == word; });
}

// Lost when something else changed the reference: the entry may be another one by now.
void RaisePopularity(Word& word, std::uint64_t reference) {
  if (PopularityOf(reference) < kMaxPopularity)
    word.compare_exchange_strong(reference, reference + kPopularityOne, std::memory_order_relaxed);
}

}  // namespace

Found Arena::Find(const CacheKey& key, const Reader& reader) const noexcept {
  if (reader.floor >= reader.horizon) return {Lookup::kRecentWrite};
  std::uint32_t stripe_index = StripeOf(key.hash);
  std::uint32_t bucket_index = BucketIndex(key.hash);
  CacheBucket& bucket = buckets(stripe_index)[bucket_index];
  const Block* all = blocks(stripe_index);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::uint64_t version = See(bucket.version);
    if (version & 1) {
      Relax();
      continue;
    }
    if (See(bucket.newest_writer) >= reader.horizon) return {Lookup::kRecentWrite};
    for (Word& word : bucket.references) {
      std::uint64_t reference = See(word);
      if (reference == 0 || TagOf(reference) != TagOf(key.hash)) continue;
      Shape shape;
      std::uint32_t block = Low(reference);
      if (!HasKey(all, header_->blocks, block, key, reader.stamp, &shape)) continue;
      auto expires = static_cast<std::int64_t>(See(all[block].words[kExpiryWord]));
      if (bucket.version.load(std::memory_order_relaxed) != version) break;
      if (expires != 0 && expires <= reader.now) return {Lookup::kExpired};
      RaisePopularity(word, reference);
      return {Lookup::kHit, shape.flags, shape.value_bytes, stripe_index,
              bucket_index, block,       shape.key_words,   version};
    }
    if (bucket.version.load(std::memory_order_relaxed) == version) return {Lookup::kAbsent};
  }
  return {Lookup::kAbsent};  // a writer is stopped in the middle of a change: the table will do
}

bool Arena::Read(const Found& found, std::uint64_t* destination) const noexcept {
  WordsOfEntry words(blocks(found.stripe), header_->blocks, found.block);
  for (std::uint32_t i = 0; i < found.key_words; ++i) words.Next();
  for (std::uint64_t left = WordsOfBytes(found.value_bytes); left > 0;) {
    std::uint64_t copied = words.Copy(destination, left);
    destination += copied;
    left -= copied;
  }
  return buckets(found.stripe)[found.bucket].version.load(std::memory_order_relaxed) ==
         found.version;
}

}  // namespace teamscale::core

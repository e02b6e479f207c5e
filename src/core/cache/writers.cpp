// What changes the arena: writers that record themselves, and readers that install.
#include <algorithm>
#include <cstring>

#include "teamscale/core/cache/arena.h"
#include "teamscale/core/cache/stripe.h"

namespace teamscale::core {

namespace {

// Writes an entry's words along its chain.
class EntryWriter {
 public:
  EntryWriter(const Stripe& stripe, std::uint32_t entry) : stripe_(stripe), block_(entry) {}

  void Add(std::uint64_t word) {
    if (place_ == 8) {
      block_ = Low(Get(stripe_.block(block_).words[head_ ? kChainWord : 0]));
      place_ = 1;
      head_ = false;
    }
    Set(stripe_.block(block_).words[place_++], word);
  }

  void Add(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      std::uint64_t word = 0;
      std::size_t size = std::min(bytes.size(), sizeof(word));
      std::memcpy(&word, bytes.data(), size);
      Add(word);
      bytes = bytes.subspan(size);
    }
  }

 private:
  const Stripe& stripe_;
  std::uint32_t block_;
  std::uint32_t place_ = kData;
  bool head_ = true;
};

bool HasHash(const Stripe& stripe, std::uint64_t reference, std::uint64_t hash) {
  return reference != 0 && TagOf(reference) == TagOf(hash) &&
         Get(stripe.block(Low(reference)).words[kHashWord]) == hash;
}

bool HasImage(const Stripe& stripe, std::uint32_t entry, const CacheKey& key) {
  if (UnpackShape(Get(stripe.block(entry).words[kShapeWord])).key_words != key.image.size())
    return false;
  std::uint32_t block = entry;
  std::uint32_t place = kData;
  for (std::uint64_t word : key.image) {
    if (place == 8) {
      block = Low(Get(stripe.block(block).words[block == entry ? kChainWord : 0]));
      place = 1;
    }
    if (Get(stripe.block(block).words[place++]) != word) return false;
  }
  return true;
}

int DropHash(const Stripe& stripe, CacheBucket* bucket, std::uint64_t hash) {
  int dropped = 0;
  for (int i = 0; i < kReferences; ++i) {
    if (!HasHash(stripe, Get(bucket->references[i]), hash)) continue;
    // What is asked for and changed comes back to the main queue.
    if (PopularityOf(Get(bucket->references[i])) > 0)
      stripe.RemoveAsGhost(bucket, i);
    else
      stripe.Remove(bucket, i);
    ++dropped;
  }
  return dropped;
}

}  // namespace

bool Arena::IsRecorded(std::uint64_t hash, std::uint64_t writer) const noexcept {
  const CacheBucket* bucket = BucketOf(hash);
  if (bucket->newest_writer.load(std::memory_order_acquire) < writer) return false;
  // None can be installed for this hash as long as the writer runs: so what is not there now
  // will not be.
  for (const Word& word : bucket->references) {
    std::uint64_t reference = word.load(std::memory_order_acquire);
    if (reference != 0 && TagOf(reference) == TagOf(hash)) return false;
  }
  return true;
}

int Arena::Record(std::uint64_t hash, std::uint64_t writer) const noexcept {
  Stripe stripe(*this, StripeOf(hash));
  CacheBucket* bucket = stripe.BucketOf(hash);
  // First: an entry that is dropped cannot come back for a reader whom this writer concerns.
  if (Get(bucket->newest_writer) < writer) Set(bucket->newest_writer, writer);
  return DropHash(stripe, bucket, hash);
}

int Arena::Drop(std::uint64_t hash) const noexcept {
  Stripe stripe(*this, StripeOf(hash));
  return DropHash(stripe, stripe.BucketOf(hash), hash);
}

Install Arena::Put(const CacheKey& key, const Reader& reader,
                   const NewValue& value) const noexcept {
  Stripe stripe(*this, StripeOf(key.hash));
  CacheBucket* bucket = stripe.BucketOf(key.hash);
  auto index = static_cast<std::uint32_t>(reader.stamp >> kGenerationBits);
  if (Stamp(index) != reader.stamp) return Install::kOutdated;
  if (Get(bucket->newest_writer) >= reader.horizon || Floor(index) >= reader.horizon)
    return Install::kRecentWrite;
  Shape shape{static_cast<std::uint32_t>(value.bytes.size()),
              static_cast<std::uint16_t>(key.image.size()), value.flags};
  std::uint64_t blocks = BlocksOfWords(EntryWords(shape));
  if (blocks > stripe.largest_entry()) return Install::kTooLarge;
  Queue queue = stripe.IsGhost(key.hash) ? kMain : kSmall;
  for (int i = 0; i < kReferences; ++i) {
    std::uint64_t reference = Get(bucket->references[i]);
    if (!HasHash(stripe, reference, key.hash) || !HasImage(stripe, Low(reference), key)) continue;
    if (PopularityOf(reference) > 0) queue = kMain;
    stripe.Remove(bucket, i);
  }
  auto count = static_cast<std::uint32_t>(blocks);
  stripe.MakeRoom(count);
  int place = stripe.MakePlace(bucket);
  std::uint32_t entry = stripe.TakeBlocks(count);
  Block& head = stripe.block(entry);
  Set(head.words[kHashWord], key.hash);
  Set(head.words[kStampWord], reader.stamp);
  Set(head.words[kExpiryWord], static_cast<std::uint64_t>(value.expires));
  Set(head.words[kShapeWord], PackShape(shape));
  EntryWriter writer(stripe, entry);
  for (std::uint64_t word : key.image) writer.Add(word);
  writer.Add(value.bytes);
  stripe.Append(queue, entry);
  Set(stripe.header().entries, Get(stripe.header().entries) + 1);
  states_[index].blocks.fetch_add(count, std::memory_order_relaxed);
  BucketChange change(bucket);
  Set(bucket->references[place], TagOf(key.hash) | entry);
  return Install::kDone;
}

void Arena::Sweep(std::uint32_t stripe_index) const noexcept {
  Stripe stripe(*this, stripe_index);
  for (std::uint32_t i = 0; i < stripe.bucket_count(); ++i) {
    CacheBucket& bucket = stripe.bucket(i);
    for (int place = 0; place < kReferences; ++place) {
      std::uint64_t reference = Get(bucket.references[place]);
      if (reference != 0 && !stripe.IsCurrent(Get(stripe.block(Low(reference)).words[kStampWord])))
        stripe.Remove(&bucket, place);
    }
  }
}

}  // namespace teamscale::core

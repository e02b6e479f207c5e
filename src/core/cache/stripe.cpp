// Free blocks, queues and eviction of one stripe.
#include "teamscale/core/cache/stripe.h"

#include <algorithm>

namespace teamscale::core {

namespace {

void Grow(Word& word, std::uint64_t by) { Set(word, Get(word) + by); }
void Shrink(Word& word, std::uint64_t by) { Set(word, Get(word) - by); }

}  // namespace

Stripe::Stripe(const Arena& arena, std::uint32_t index)
    : arena_(arena),
      header_(reinterpret_cast<StripeHeader*>(arena.stripe(index))),
      buckets_(arena.buckets(index)),
      ghosts_(reinterpret_cast<Word*>(buckets_ + arena.header_->buckets)),
      blocks_(arena.blocks(index)) {}

std::uint32_t Stripe::ChainLength(std::uint32_t entry) const {
  return static_cast<std::uint32_t>(
      BlocksOfWords(EntryWords(UnpackShape(Get(blocks_[entry].words[kShapeWord])))));
}

// --- Queues: doubly linked, the oldest first

void Stripe::Append(Queue queue, std::uint32_t entry) const {
  Block& block = blocks_[entry];
  std::uint32_t last = Low(Get(header_->last[queue]));
  Set(block.words[kQueueWord], Pack(last, 0));
  Set(block.words[kChainWord], Pack(queue, Low(Get(block.words[kChainWord]))));
  if (last)
    Set(blocks_[last].words[kQueueWord], Pack(High(Get(blocks_[last].words[kQueueWord])), entry));
  else
    Set(header_->first[queue], entry);
  Set(header_->last[queue], entry);
  Grow(header_->size[queue], ChainLength(entry));
}

void Stripe::Unlink(std::uint32_t entry) const {
  Block& block = blocks_[entry];
  std::uint32_t queue = High(Get(block.words[kChainWord]));
  std::uint32_t previous = High(Get(block.words[kQueueWord]));
  std::uint32_t next = Low(Get(block.words[kQueueWord]));
  if (previous)
    Set(blocks_[previous].words[kQueueWord],
        Pack(High(Get(blocks_[previous].words[kQueueWord])), next));
  else
    Set(header_->first[queue], next);
  if (next)
    Set(blocks_[next].words[kQueueWord], Pack(previous, Low(Get(blocks_[next].words[kQueueWord]))));
  else
    Set(header_->last[queue], previous);
  Shrink(header_->size[queue], ChainLength(entry));
}

// --- Blocks

std::uint32_t Stripe::TakeBlocks(std::uint32_t count) const {
  auto first = static_cast<std::uint32_t>(Get(header_->free_block));
  std::uint32_t last = first;
  for (std::uint32_t i = 1; i < count; ++i) {
    std::uint32_t next = Low(Get(blocks_[last].words[kChainWord]));
    // A further block has its link in word 0.
    if (last != first) Set(blocks_[last].words[0], next);
    last = next;
  }
  Set(header_->free_block, Low(Get(blocks_[last].words[kChainWord])));
  if (last != first) Set(blocks_[last].words[0], 0);
  Set(blocks_[first].words[kChainWord], count > 1 ? Low(Get(blocks_[first].words[kChainWord])) : 0);
  Shrink(header_->free_blocks, count);
  return first;
}

void Stripe::FreeBlocks(std::uint32_t entry) const {
  std::uint32_t count = ChainLength(entry);
  std::uint64_t stamp = Get(blocks_[entry].words[kStampWord]);
  CacheState& state = arena_.states_[stamp >> kGenerationBits];
  state.blocks.fetch_sub(count, std::memory_order_relaxed);
  std::uint32_t block = entry;
  std::uint32_t following = Low(Get(blocks_[entry].words[kChainWord]));
  for (std::uint32_t i = 0; i < count; ++i) {
    Set(blocks_[block].words[kChainWord], Get(header_->free_block));
    Set(header_->free_block, block);
    block = following;
    following = Low(Get(blocks_[block].words[0]));
  }
  Grow(header_->free_blocks, count);
}

// --- Entries

int Stripe::PlaceOf(const CacheBucket* bucket, std::uint32_t block_index) const {
  int place = 0;
  while (Low(Get(bucket->references[place])) != block_index) ++place;
  return place;
}

void Stripe::Remove(CacheBucket* bucket, int place) const {
  std::uint32_t entry = Low(Get(bucket->references[place]));
  {
    BucketChange change(bucket);
    Set(bucket->references[place], 0);
  }
  Unlink(entry);
  FreeBlocks(entry);
  Shrink(header_->entries, 1);
}

void Stripe::RemoveAsGhost(CacheBucket* bucket, int place) const {
  MakeGhost(Get(blocks_[Low(Get(bucket->references[place]))].words[kHashWord]));
  Remove(bucket, place);
}

// --- Ghosts: pairs of | hash 32 | clock 32 |, the older one of a pair is replaced

void Stripe::MakeGhost(std::uint64_t hash) const {
  std::uint64_t clock = Get(header_->ghost_clock) + 1;
  Set(header_->ghost_clock, clock);
  Word* pair = ghosts_ + (Low(hash) & (arena_.header_->ghosts / 2 - 1)) * 2;
  auto age = [&](Word& ghost) { return static_cast<std::uint32_t>(clock) - Low(Get(ghost)); };
  Word& replaced = age(pair[0]) >= age(pair[1]) ? pair[0] : pair[1];
  Set(replaced, Pack(High(hash), static_cast<std::uint32_t>(clock)));
}

bool Stripe::IsGhost(std::uint64_t hash) const {
  auto clock = static_cast<std::uint32_t>(Get(header_->ghost_clock));
  auto window = static_cast<std::uint32_t>(std::max<std::uint64_t>(Get(header_->entries), 16));
  const Word* pair = ghosts_ + (Low(hash) & (arena_.header_->ghosts / 2 - 1)) * 2;
  return std::any_of(pair, pair + 2, [&](const Word& ghost) {
    return High(Get(ghost)) == High(hash) && clock - Low(Get(ghost)) < window;
  });
}

// --- Eviction

void Stripe::EvictOne(int* spared) const {
  bool small = EvictsFromSmall(Get(header_->size[kSmall]), Get(header_->size[kMain]),
                               arena_.header_->blocks);
  Queue queue = small ? kSmall : kMain;
  auto entry = static_cast<std::uint32_t>(Get(header_->first[queue]));
  std::uint64_t hash = Get(blocks_[entry].words[kHashWord]);
  CacheBucket* bucket = BucketOf(hash);
  int place = PlaceOf(bucket, entry);
  Word& word = bucket->references[place];
  std::uint64_t reference = Get(word);
  std::uint64_t popularity = PopularityOf(reference);
  bool current = IsCurrent(Get(blocks_[entry].words[kStampWord]));
  if (current && IsSpared(small, popularity) && *spared < kMostSpared) {
    ++*spared;
    Unlink(entry);
    Append(kMain, entry);
    Set(word, (reference & ~kPopularityMask) | (small ? 0 : (popularity - 1) << 32));
    return;
  }
  if (current) {
    Grow(header_->evictions, 1);
    if (small) MakeGhost(hash);
  }
  Remove(bucket, place);
}

void Stripe::MakeRoom(std::uint32_t wanted) const {
  int spared = 0;
  while (Get(header_->free_blocks) < wanted) EvictOne(&spared);
}

int Stripe::MakePlace(CacheBucket* bucket) const {
  int least = 0;
  for (int i = 0; i < kReferences; ++i) {
    std::uint64_t reference = Get(bucket->references[i]);
    if (reference == 0) return i;
    if (PopularityOf(reference) < PopularityOf(Get(bucket->references[least]))) least = i;
  }
  Grow(header_->evictions, 1);
  Remove(bucket, least);
  return least;
}

}  // namespace teamscale::core

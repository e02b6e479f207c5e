#include "teamscale/core/cache/policy_model.h"

#include <algorithm>
#include <bit>

#include "teamscale/core/cache/eviction.h"

namespace teamscale::core {

namespace {

// Ghosts take what room keys leave, and this at least.
std::uint32_t MostKeys(std::uint32_t blocks) { return blocks + blocks / 4 + 1; }

std::uint32_t BucketsOf(std::uint32_t blocks) { return std::bit_ceil(blocks); }

}  // namespace

std::uint64_t PolicyModel::Bytes(std::uint32_t blocks) {
  std::uint64_t bytes = sizeof(Header) + sizeof(std::uint32_t) * BucketsOf(blocks);
  return (bytes + 7) / 8 * 8 + sizeof(ModelKey) * (MostKeys(blocks) + 1);
}

PolicyModel::PolicyModel(void* memory, std::uint32_t blocks)
    : capacity_(blocks),
      buckets_(BucketsOf(blocks)),
      header_(static_cast<Header*>(memory)),
      bucket_(reinterpret_cast<std::uint32_t*>(header_ + 1)),
      key_(reinterpret_cast<ModelKey*>(static_cast<std::byte*>(memory) + Bytes(blocks)) -
           (MostKeys(blocks) + 1)) {}

// --- Keys by hash

std::uint32_t* PolicyModel::BucketOf(std::uint64_t hash) const {
  return &bucket_[static_cast<std::uint32_t>(hash) & (buckets_ - 1)];
}

std::uint32_t PolicyModel::Find(std::uint64_t hash) const {
  std::uint32_t key = *BucketOf(hash);
  while (key && key_[key].hash != hash) key = key_[key].next_of_bucket;
  return key;
}

// --- Queues, the oldest first

void PolicyModel::Append(Queue queue, std::uint32_t key) const {
  QueueState& state = header_->queue[queue];
  key_[key].queue = queue;
  key_[key].previous = state.last;
  key_[key].next = 0;
  (state.last ? key_[state.last].next : state.first) = key;
  state.last = key;
  ++state.keys;
  state.blocks += key_[key].blocks;
}

void PolicyModel::Unlink(std::uint32_t key) const {
  const ModelKey& unlinked = key_[key];
  QueueState& state = header_->queue[unlinked.queue];
  (unlinked.previous ? key_[unlinked.previous].next : state.first) = unlinked.next;
  (unlinked.next ? key_[unlinked.next].previous : state.last) = unlinked.previous;
  --state.keys;
  state.blocks -= unlinked.blocks;
}

void PolicyModel::Remove(std::uint32_t key) const {
  std::uint32_t* link = BucketOf(key_[key].hash);
  while (*link != key) link = &key_[*link].next_of_bucket;
  *link = key_[key].next_of_bucket;
  Unlink(key);
  Append(kFree, key);
}

std::uint32_t PolicyModel::TakeKey() const {
  if (std::uint32_t key = header_->queue[kFree].first) {
    Unlink(key);
    return key;
  }
  if (header_->used < MostKeys(capacity_)) return ++header_->used;
  Remove(header_->queue[kGhost].first);
  return TakeKey();
}

// --- The policy

std::uint32_t PolicyModel::BlocksInUse() const {
  return header_->queue[kSmall].blocks + header_->queue[kMain].blocks;
}

void PolicyModel::EvictOne(int* spared) const {
  const QueueState& small = header_->queue[kSmall];
  const QueueState& main = header_->queue[kMain];
  bool from_small = EvictsFromSmall(small.blocks, main.blocks, capacity_);
  std::uint32_t key = from_small ? small.first : main.first;
  std::uint32_t popularity = key_[key].popularity;
  if (IsSpared(from_small, popularity) && *spared < kMostSpared) {
    ++*spared;
    Unlink(key);
    key_[key].popularity = static_cast<std::uint8_t>(from_small ? 0 : popularity - 1);
    Append(kMain, key);
  } else if (from_small) {
    Unlink(key);
    Append(kGhost, key);
    const QueueState& ghosts = header_->queue[kGhost];
    if (ghosts.keys > std::max<std::uint32_t>(small.keys + main.keys, 16)) Remove(ghosts.first);
  } else {
    Remove(key);
  }
}

void PolicyModel::Install(Queue queue, std::uint64_t hash, std::uint32_t blocks) const {
  if (blocks > capacity_) return;
  int spared = 0;
  while (BlocksInUse() + blocks > capacity_) EvictOne(&spared);
  std::uint32_t key = TakeKey();
  std::uint32_t* bucket = BucketOf(hash);
  key_[key] = {.hash = hash,
               .next_of_bucket = *bucket,
               .previous = 0,
               .next = 0,
               .blocks = static_cast<std::uint16_t>(std::min<std::uint32_t>(blocks, UINT16_MAX)),
               .popularity = 0,
               .queue = queue};
  *bucket = key;
  Append(queue, key);
}

bool PolicyModel::Access(std::uint64_t hash, std::uint32_t blocks) {
  std::uint32_t key = Find(hash);
  if (key && key_[key].queue != kGhost) {
    if (key_[key].popularity < kMaxPopularity) ++key_[key].popularity;
    return true;
  }
  if (key) Remove(key);
  Install(key ? kMain : kSmall, hash, blocks);
  return false;
}

void PolicyModel::Drop(std::uint64_t hash) {
  std::uint32_t key = Find(hash);
  if (!key || key_[key].queue == kGhost) return;
  if (key_[key].popularity == 0) {
    Remove(key);
    return;
  }
  Unlink(key);
  Append(kGhost, key);
}

}  // namespace teamscale::core

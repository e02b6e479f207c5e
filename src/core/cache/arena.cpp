// The arena's shape, its caches, and its figures.
#include "teamscale/core/cache/arena.h"

#include <algorithm>
#include <bit>
#include <new>

#include "teamscale/core/cache/stripe.h"

namespace teamscale::core {

namespace {

constexpr std::uint64_t kUsualStripe = std::uint64_t{2} << 20;
constexpr std::uint32_t kMostStripes = 256;
constexpr std::uint64_t kLeastStripe = std::uint64_t{64} << 10;
// A bucket with its ghosts, and the blocks that it should have at least.
constexpr std::uint64_t kGhostsOfBucket = 2;
constexpr std::uint64_t kBytesOfBucket =
    sizeof(CacheBucket) + kGhostsOfBucket * sizeof(Word) + 5 * sizeof(Block) / 2;

std::uint64_t Preamble(std::uint32_t caches) {
  return sizeof(ArenaHeader) + caches * sizeof(CacheState);
}

std::uint64_t StripeBytes(std::uint64_t bytes, std::uint32_t caches, std::uint32_t stripes) {
  return (bytes - Preamble(caches)) / stripes / kCacheLine * kCacheLine;
}

std::uint64_t BlocksOffset(std::uint32_t buckets, std::uint32_t ghosts) {
  return sizeof(StripeHeader) + buckets * sizeof(CacheBucket) + ghosts * sizeof(Word);
}

ArenaHeader ShapeOf(std::uint64_t bytes, std::uint32_t caches) {
  ArenaHeader shape{};
  shape.bytes = bytes;
  shape.caches = caches;
  std::uint64_t stripes =
      std::clamp<std::uint64_t>((bytes - Preamble(caches)) / kUsualStripe, 1, kMostStripes);
  shape.stripes = static_cast<std::uint32_t>(std::bit_floor(stripes));
  std::uint64_t stripe_bytes = StripeBytes(bytes, caches, shape.stripes);
  shape.buckets = static_cast<std::uint32_t>(std::bit_floor(stripe_bytes / kBytesOfBucket));
  shape.ghosts = static_cast<std::uint32_t>(shape.buckets * kGhostsOfBucket);
  shape.blocks = static_cast<std::uint32_t>(
      (stripe_bytes - BlocksOffset(shape.buckets, shape.ghosts)) / sizeof(Block));
  return shape;
}

}  // namespace

std::uint64_t Arena::MinimalBytes(std::uint32_t caches) { return Preamble(caches) + kLeastStripe; }

std::uint64_t Arena::BlocksIn(std::uint64_t bytes, std::uint32_t caches) {
  ArenaHeader shape = ShapeOf(bytes, caches);
  return std::uint64_t{shape.stripes} * (shape.blocks - 1);
}

void Arena::Format(void* memory, std::uint64_t bytes, std::uint32_t caches) {
  auto* header = new (memory) ArenaHeader(ShapeOf(bytes, caches));
  Arena arena(memory);
  for (std::uint32_t i = 0; i < caches; ++i) {
    auto* state = new (&arena.states_[i]) CacheState{};
    Set(state->stamp, std::uint64_t{i} << kGenerationBits | 1);
    Set(state->floor, kNoFloor);
  }
  for (std::uint32_t i = 0; i < header->stripes; ++i) {
    Stripe stripe(arena, i);
    for (std::uint32_t block = 1; block < header->blocks; ++block)
      Set(stripe.block(block).words[kChainWord], block + 1 < header->blocks ? block + 1 : 0);
    Set(stripe.header().free_block, 1);
    Set(stripe.header().free_blocks, header->blocks - 1);
  }
}

Arena::Arena(void* memory)
    : header_(static_cast<ArenaHeader*>(memory)),
      states_(reinterpret_cast<CacheState*>(static_cast<std::byte*>(memory) + sizeof(ArenaHeader))),
      stripes_(static_cast<std::byte*>(memory) + Preamble(header_->caches)),
      stripe_bytes_(StripeBytes(header_->bytes, header_->caches, header_->stripes)),
      blocks_offset_(BlocksOffset(header_->buckets, header_->ghosts)) {}

void Arena::RaiseFloor(std::uint32_t index, std::uint64_t floor) const {
  CacheState& state = states_[index];
  std::uint64_t present = Get(state.floor);
  if (present == kNoFloor || present < floor) Set(state.floor, floor);
  Set(state.stamp, Get(state.stamp) + 1);
}

void Arena::Reset(std::uint32_t index, std::uint64_t owner) const {
  Set(states_[index].floor, kNoFloor);
  Set(states_[index].owner, owner);
  Set(states_[index].stamp, Get(states_[index].stamp) + 1);
}

std::uint64_t Arena::largest_value_bytes() const {
  return Stripe(*this, 0).largest_entry() * kTailWords * sizeof(Word) - sizeof(Block);
}

ArenaFigures Arena::Figures() const {
  ArenaFigures figures{};
  figures.bytes = header_->bytes;
  for (std::uint32_t i = 0; i < header_->stripes; ++i) {
    StripeHeader& header = Stripe(*this, i).header();
    std::uint64_t blocks = header_->blocks - 1;
    figures.block_bytes += blocks * sizeof(Block);
    figures.used_bytes += (blocks - Get(header.free_blocks)) * sizeof(Block);
    figures.entries += Get(header.entries);
    figures.evictions += Get(header.evictions);
  }
  return figures;
}

}  // namespace teamscale::core

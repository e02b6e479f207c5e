// A key as the arena knows it: its hash, and an image that tells it from other keys of that hash.
// Equal keys have one hash, whatever their images are (1.0 and 1.00 of type numeric have two): a
// writer drops all entries of the hash. Plain dialect.
#pragma once

#include <cstdint>

#include "teamscale/core/cache/arena.h"
#include "teamscale/postgres/cache/definition.h"

namespace teamscale {

constexpr std::uint32_t kMostKeyWords = 64;

struct KeyImage {
  std::uint64_t hash;
  std::uint32_t words;
  bool fits;  // no image otherwise, but the hash
  std::uint64_t word[kMostKeyWords];

  core::CacheKey key() const { return {hash, {word, words}}; }
};

// Of values in the order of the key columns, none of them null.
void MakeKeyImage(Cache* cache, const NullableDatum* values, KeyImage* image);

}  // namespace teamscale

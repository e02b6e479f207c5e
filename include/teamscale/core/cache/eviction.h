// What S3-FIFO decides, for the arena and for its models: a small queue for the new, a main queue
// for those that were asked for again, and ghosts of those that were not.
// Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023.
#pragma once

#include <cstdint>

namespace teamscale::core {

inline constexpr std::uint64_t kMaxPopularity = 3;
// Entries that one eviction may spare for their popularity: under the lock, time is bounded.
inline constexpr int kMostSpared = 128;

// Whether the oldest of the small queue goes, or of the main: the small one is a tenth.
constexpr bool EvictsFromSmall(std::uint64_t small, std::uint64_t main, std::uint64_t capacity) {
  if (small == 0) return false;
  return main == 0 || small * 10 > capacity;
}

// Two questions lead from the small queue to the main, one to another round in it.
constexpr bool IsSpared(bool in_small, std::uint64_t popularity) {
  return popularity >= (in_small ? 2 : 1);
}

}  // namespace teamscale::core

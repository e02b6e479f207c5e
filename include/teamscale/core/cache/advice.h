// What hit ratio the arena would have with other sizes of memory.
//
// Miniature simulation: a sample of the keys, chosen by their hashes, is looked up in models of the
// arena's policy that are as much smaller as the sample is, one for each size. Waldspurger et al.,
// "Cache Modeling and Optimization using Miniature Simulations", USENIX ATC 2017; how a sample that
// has too many or too few of the look-ups is corrected: Waldspurger et al., "Efficient MRC
// Construction with SHARDS", FAST 2015 (SHARDS-adj).
//
// Lives in memory that its user gives; one caller at a time, but for IsSampled.
#pragma once

#include <cstdint>

namespace teamscale::core {

class Advice {
 public:
  static constexpr int kSizes = 6;
  // Of today's memory, in quarters.
  static constexpr std::uint32_t kQuarters[kSizes] = {1, 2, 4, 8, 16, 32};

  // For an arena of so many blocks; zeroed memory is advice that has seen nothing.
  static std::uint64_t Bytes(std::uint64_t blocks);
  Advice() = default;
  Advice(void* memory, std::uint64_t blocks);

  // Every bit of a key's hash depends on all of the key.
  bool IsSampled(std::uint64_t hash) const { return hash >> 32 < threshold_; }

  // For sampled keys only. look_ups: those of all keys since the caller's last call, this one
  // included. blocks: what the answer takes.
  void Access(std::uint64_t hash, std::uint32_t blocks, std::uint64_t look_ups);
  // A writer's, which drops the key.
  void Drop(std::uint64_t hash);

  // Of the recent look-ups; negative when there were too few of them.
  double HitRatio(int size) const;

 private:
  struct Counts {
    std::uint64_t look_ups;
    std::uint64_t sampled;
    std::uint64_t hits[kSizes];
  };
  void Age();
  std::uint32_t BlocksOf(int size) const;
  void* ModelOf(int size) const;

  Counts* counts_ = nullptr;
  std::uint32_t blocks_ = 0;     // of the model of today's size
  std::uint64_t threshold_ = 0;  // of 2^32
};

}  // namespace teamscale::core

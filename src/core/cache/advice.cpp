#include "teamscale/core/cache/advice.h"

#include <algorithm>

#include "teamscale/core/cache/policy_model.h"

namespace teamscale::core {

namespace {

// Of the model of today's size: the more, the better the advice; a look-up in all models takes a
// microsecond or two, and one of many look-ups is sampled.
constexpr std::uint64_t kModelBlocks = 2048;
constexpr std::uint64_t kMostSampled = 64;  // one of so many at most

// Sampled look-ups after which all counts are halved: what is long ago says less.
constexpr std::uint64_t kWindow = 1 << 16;
constexpr std::uint64_t kLeastSampled = 1000;

std::uint64_t OneOf(std::uint64_t blocks) {
  return std::max<std::uint64_t>(blocks / kModelBlocks, kMostSampled);
}

std::uint32_t ModelBlocks(std::uint64_t blocks) {
  return static_cast<std::uint32_t>(std::max<std::uint64_t>(blocks / OneOf(blocks), 4));
}

}  // namespace

std::uint64_t Advice::Bytes(std::uint64_t blocks) {
  Advice advice(nullptr, blocks);
  std::uint64_t bytes = sizeof(Counts);
  for (int i = 0; i < kSizes; ++i) bytes += PolicyModel::Bytes(advice.BlocksOf(i));
  return bytes;
}

Advice::Advice(void* memory, std::uint64_t blocks)
    : counts_(static_cast<Counts*>(memory)),
      blocks_(ModelBlocks(blocks)),
      threshold_((std::uint64_t{1} << 32) / OneOf(blocks)) {}

std::uint32_t Advice::BlocksOf(int size) const { return blocks_ * kQuarters[size] / 4; }

void* Advice::ModelOf(int size) const {
  auto* memory = reinterpret_cast<std::byte*>(counts_ + 1);
  for (int i = 0; i < size; ++i) memory += PolicyModel::Bytes(BlocksOf(i));
  return memory;
}

void Advice::Age() {
  counts_->look_ups /= 2;
  counts_->sampled /= 2;
  for (std::uint64_t& hits : counts_->hits) hits /= 2;
}

void Advice::Access(std::uint64_t hash, std::uint32_t blocks, std::uint64_t look_ups) {
  if (counts_->sampled >= kWindow) Age();
  counts_->look_ups += look_ups;
  ++counts_->sampled;
  for (int i = 0; i < kSizes; ++i)
    if (PolicyModel(ModelOf(i), BlocksOf(i)).Access(hash, blocks)) ++counts_->hits[i];
}

void Advice::Drop(std::uint64_t hash) {
  for (int i = 0; i < kSizes; ++i) PolicyModel(ModelOf(i), BlocksOf(i)).Drop(hash);
}

double Advice::HitRatio(int size) const {
  if (counts_->sampled < kLeastSampled) return -1;
  double expected = static_cast<double>(counts_->look_ups) * static_cast<double>(threshold_) /
                    static_cast<double>(std::uint64_t{1} << 32);
  // The keys that are asked for most are the ones that a sample has by luck, and they are hits.
  double hits =
      static_cast<double>(counts_->hits[size]) + expected - static_cast<double>(counts_->sampled);
  return std::clamp(hits / expected, 0.0, 1.0);
}

}  // namespace teamscale::core

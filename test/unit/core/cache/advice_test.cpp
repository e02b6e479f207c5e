#include "teamscale/core/cache/advice.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "arena_memory.h"
#include "teamscale/core/cache/policy_model.h"

namespace teamscale::core {
namespace {

// Requests whose popularity falls with the given exponent.
class Zipf {
 public:
  Zipf(std::size_t keys, double exponent) : random_(5) {
    double sum = 0;
    for (std::size_t i = 1; i <= keys; ++i) {
      sum += std::pow(static_cast<double>(i), -exponent);
      cumulated_.push_back(sum);
    }
  }

  std::uint64_t Next() {
    double at = std::uniform_real_distribution<double>(0, cumulated_.back())(random_);
    auto place = std::lower_bound(cumulated_.begin(), cumulated_.end(), at);
    return static_cast<std::uint64_t>(place - cumulated_.begin());
  }

 private:
  std::mt19937_64 random_;
  std::vector<double> cumulated_;
};

struct Zeroed {
  explicit Zeroed(std::uint64_t bytes) : words(bytes / 8 + 1) {}
  std::vector<std::uint64_t> words;
};

std::string ValueOf(std::uint64_t key) { return std::string(8 + key % 60, 'v'); }

std::uint32_t BlocksOf(std::uint64_t key) {
  return static_cast<std::uint32_t>(BlocksOfWords(1 + WordsOfBytes(ValueOf(key).size())));
}

class PolicyModelTest : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kBlocks = 100;
  Zeroed memory{PolicyModel::Bytes(kBlocks)};
  PolicyModel model{memory.words.data(), kBlocks};
};

TEST_F(PolicyModelTest, AKeyIsThereOnceItWasAskedForAndUntilAWriterDropsIt) {
  EXPECT_FALSE(model.Access(1, 2));
  EXPECT_TRUE(model.Access(1, 2));
  model.Drop(1);
  EXPECT_FALSE(model.Access(1, 2));
  model.Drop(2);
}

TEST_F(PolicyModelTest, ItHoldsWhatItsMemoryHolds) {
  for (std::uint64_t key = 1; key <= 50; ++key) EXPECT_FALSE(model.Access(key, 2));
  for (std::uint64_t key = 1; key <= 50; ++key) EXPECT_TRUE(model.Access(key, 2));
  EXPECT_FALSE(model.Access(51, 2));
  int there = 0;
  for (std::uint64_t key = 1; key <= 50; ++key) there += model.Access(key, 2);
  EXPECT_LT(there, 50);
}

TEST_F(PolicyModelTest, WhatIsLargerThanAllOfItIsNotKept) {
  model.Access(1, 1);
  EXPECT_FALSE(model.Access(2, kBlocks + 1));
  EXPECT_FALSE(model.Access(2, kBlocks + 1));
  EXPECT_TRUE(model.Access(1, 1));
}

TEST_F(PolicyModelTest, AScanDoesNotPushOutWhatIsAskedForAgain) {
  for (int round = 0; round < 4; ++round)
    for (std::uint64_t key = 1; key <= 20; ++key) model.Access(key, 1);
  for (std::uint64_t key = 1000; key < 3000; ++key) model.Access(key, 1);
  for (std::uint64_t key = 1; key <= 20; ++key) EXPECT_TRUE(model.Access(key, 1)) << key;
}

TEST_F(PolicyModelTest, RandomLookUpsAndDropsOfEverySize) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 200000; ++i) {
    std::uint64_t key = random() % 300;
    if (random() % 8 == 0)
      model.Drop(key);
    else
      model.Access(key, 1 + static_cast<std::uint32_t>(random() % (key % 17 + 1)));
  }
}

// The ratio of an arena of so many bytes, and of what a smaller one's advice says of that size.
class Measured {
 public:
  explicit Measured(std::uint64_t bytes) : memory_(bytes) {}

  void LookUp(std::uint64_t key) {
    ++look_ups_;
    Reader reader = memory_.ReaderAt(10);
    if (memory_.Outcome(key, reader) == Lookup::kHit)
      ++hits_;
    else
      memory_.Put(key, reader, ValueOf(key));
  }
  double HitRatio() const { return static_cast<double>(hits_) / static_cast<double>(look_ups_); }

 private:
  ArenaMemory memory_;
  std::uint64_t hits_ = 0, look_ups_ = 0;
};

class AdviceOfZipf : public ::testing::TestWithParam<double> {};

TEST_P(AdviceOfZipf, IsWithinThreePointsOfWhatEachSizeGives) {
  constexpr std::uint64_t kBytes = 12 << 20;
  ArenaMemory today(kBytes);
  std::uint64_t blocks = today.arena.Figures().block_bytes / sizeof(Block);
  Zeroed memory(Advice::Bytes(blocks));
  Advice advice(memory.words.data(), blocks);
  std::vector<std::unique_ptr<Measured>> arenas;
  for (std::uint32_t quarters : Advice::kQuarters)
    arenas.push_back(std::make_unique<Measured>(kBytes * quarters / 4));

  Zipf keys(120000, GetParam());
  std::uint64_t pending = 0;
  for (int i = 0; i < 300000; ++i) {
    std::uint64_t key = keys.Next();
    for (auto& arena : arenas) arena->LookUp(key);
    ++pending;
    if (!advice.IsSampled(HashOf(key))) continue;
    advice.Access(HashOf(key), BlocksOf(key), pending);
    pending = 0;
  }
  for (int size = 0; size < Advice::kSizes; ++size)
    EXPECT_NEAR(advice.HitRatio(size), arenas[static_cast<std::size_t>(size)]->HitRatio(), 0.03)
        << Advice::kQuarters[size] << "/4 of the memory";
}

INSTANTIATE_TEST_SUITE_P(Exponents, AdviceOfZipf, ::testing::Values(0.8, 1.0, 1.2));

TEST(Advice, HasNoneBeforeEnoughWasSeen) {
  Zeroed memory(Advice::Bytes(100000));
  Advice advice(memory.words.data(), 100000);
  EXPECT_LT(advice.HitRatio(0), 0);
}

TEST(Advice, KnowsOfWriters) {
  constexpr std::uint64_t kBlocks = 100000;
  Zeroed memory(Advice::Bytes(kBlocks));
  Advice advice(memory.words.data(), kBlocks);
  for (std::uint64_t i = 0; i < 300000; ++i) {
    std::uint64_t hash = HashOf(i % 100);
    if (!advice.IsSampled(hash)) continue;
    advice.Drop(hash);
    advice.Access(hash, 1, 64);
  }
  EXPECT_LT(advice.HitRatio(5), 0.05);
}

}  // namespace
}  // namespace teamscale::core

#include "teamscale/core/cache/arena.h"

#include <gtest/gtest.h>

#include <random>

#include "arena_memory.h"

namespace teamscale::core {
namespace {

constexpr std::uint64_t kSize = 1 << 20;

TEST(Arena, GivesWhatWasInstalledForAHorizonAboveTheWriters) {
  ArenaMemory memory(kSize);
  memory.Record(7, 100);
  EXPECT_EQ(memory.Put(7, memory.ReaderAt(100), "old"), Install::kRecentWrite);
  EXPECT_EQ(memory.Put(7, memory.ReaderAt(101), "new"), Install::kDone);
  EXPECT_EQ(memory.Get(7, memory.ReaderAt(101)), "new");
  EXPECT_EQ(memory.Outcome(7, memory.ReaderAt(100)), Lookup::kRecentWrite);
  EXPECT_EQ(memory.Outcome(8, memory.ReaderAt(101)), Lookup::kAbsent);
}

TEST(Arena, AWriterDropsTheEntryAndKeepsItOut) {
  ArenaMemory memory(kSize);
  memory.Put(7, memory.ReaderAt(50), "before");
  memory.Record(7, 60);
  EXPECT_EQ(memory.Outcome(7, memory.ReaderAt(60)), Lookup::kRecentWrite);
  EXPECT_EQ(memory.Outcome(7, memory.ReaderAt(61)), Lookup::kAbsent);
  memory.Record(7, 55);  // an older one that came later
  EXPECT_EQ(memory.Put(7, memory.ReaderAt(58), "between"), Install::kRecentWrite);
}

TEST(Arena, TheNewestWriterOutlivesTheEntry) {
  ArenaMemory memory(kSize);
  memory.Record(7, 100);
  for (std::uint64_t key = 1000; key < 40000; ++key)
    memory.Put(key, memory.ReaderAt(500), std::string(100, 'x'));
  EXPECT_EQ(memory.Put(7, memory.ReaderAt(90), "stale"), Install::kRecentWrite);
}

TEST(Arena, AValueOfEveryLengthComesBackWhole) {
  ArenaMemory memory(kSize);
  std::string value;
  for (std::uint64_t length = 0; length < 2000; ++length) {
    ASSERT_EQ(memory.Put(length, memory.ReaderAt(10), value), Install::kDone);
    ASSERT_EQ(memory.Get(length, memory.ReaderAt(10)), value);
    value.push_back(static_cast<char>('a' + length % 26));
  }
  EXPECT_EQ(memory.Problems(), "");
}

TEST(Arena, KeysOfOneHashAreToldApartAndDroppedTogether) {
  ArenaMemory memory(kSize);
  std::vector<std::uint64_t> one{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, other = one;
  other.back() = 11;
  std::uint64_t hash = HashOf(1);
  std::string a = "one", b = "other";
  memory.arena.Put({hash, one}, memory.ReaderAt(10), {std::as_bytes(std::span(a))});
  EXPECT_EQ(memory.arena.Find({hash, other}, memory.ReaderAt(10)).outcome, Lookup::kAbsent);
  memory.arena.Put({hash, other}, memory.ReaderAt(10), {std::as_bytes(std::span(b))});
  EXPECT_EQ(memory.arena.Find({hash, one}, memory.ReaderAt(10)).outcome, Lookup::kHit);
  EXPECT_EQ(memory.arena.Find({hash, other}, memory.ReaderAt(10)).outcome, Lookup::kHit);
  EXPECT_EQ(memory.arena.Record(hash, 5), 2);
}

TEST(Arena, RaisingTheFloorDropsTheCacheAndNoOther) {
  ArenaMemory memory(kSize);
  memory.Put(7, memory.ReaderAt(50, 0), "mine");
  std::uint64_t key = 8;
  std::string value = "other";
  memory.arena.Put({HashOf(8), {&key, 1}}, memory.ReaderAt(50, 1),
                   {std::as_bytes(std::span(value))});
  Reader before = memory.ReaderAt(60, 0);
  memory.arena.RaiseFloor(0, 55);
  EXPECT_EQ(memory.Outcome(7, memory.ReaderAt(55)), Lookup::kRecentWrite);
  EXPECT_EQ(memory.Outcome(7, memory.ReaderAt(56)), Lookup::kAbsent);
  EXPECT_EQ(memory.Get(8, memory.ReaderAt(50, 1)), "other");
  // Who read the table before may not install it after.
  EXPECT_EQ(memory.Put(7, before, "mine"), Install::kOutdated);
  EXPECT_EQ(memory.Put(7, memory.ReaderAt(56), "mine again"), Install::kDone);
  memory.arena.RaiseFloor(0, 20);  // never lower
  EXPECT_EQ(memory.Outcome(7, memory.ReaderAt(55)), Lookup::kRecentWrite);
}

TEST(Arena, NothingIsGivenBeforeTheFirstUse) {
  ArenaMemory memory(kSize);
  memory.arena.Reset(0, 1);
  EXPECT_EQ(memory.Outcome(7, memory.ReaderAt(1000)), Lookup::kRecentWrite);
  EXPECT_EQ(memory.Put(7, memory.ReaderAt(1000), "x"), Install::kRecentWrite);
  memory.arena.RaiseFloor(0, 10);
  EXPECT_EQ(memory.Put(7, memory.ReaderAt(1000), "x"), Install::kDone);
}

TEST(Arena, SweepingFreesWhatEarlierGenerationsLeft) {
  ArenaMemory memory(kSize);
  for (std::uint64_t key = 0; key < 500; ++key) memory.Put(key, memory.ReaderAt(10), "value");
  memory.Put(1000, memory.ReaderAt(10, 1), "of another cache");
  EXPECT_EQ(memory.arena.state(0).blocks.load(), 500U);
  memory.arena.RaiseFloor(0, 1);
  for (std::uint32_t i = 0; i < memory.arena.stripes(); ++i) memory.arena.Sweep(i);
  EXPECT_EQ(memory.arena.state(0).blocks.load(), 0U);
  EXPECT_EQ(memory.arena.Figures().entries, 1U);
}

TEST(Arena, AnExpiredEntryIsAbsentInTime) {
  ArenaMemory memory(kSize);
  memory.Put(7, memory.ReaderAt(10), "short", 1000);
  Reader reader = memory.ReaderAt(10);
  reader.now = 999;
  EXPECT_EQ(memory.Outcome(7, reader), Lookup::kHit);
  reader.now = 1000;
  EXPECT_EQ(memory.Outcome(7, reader), Lookup::kExpired);
}

TEST(Arena, ValuesLargerThanAQuarterOfAStripeAreRefused) {
  ArenaMemory memory(kSize);
  std::string largest(memory.arena.largest_value_bytes() - 8, 'x');
  EXPECT_EQ(memory.Put(7, memory.ReaderAt(10), largest), Install::kDone);
  EXPECT_EQ(memory.Put(8, memory.ReaderAt(10), largest + std::string(1000, 'x')),
            Install::kTooLarge);
  EXPECT_EQ(memory.Get(7, memory.ReaderAt(10)), largest);
}

TEST(Arena, WhatIsAskedForStaysWhileOthersPass) {
  ArenaMemory memory(kSize);
  for (std::uint64_t key = 0; key < 100; ++key) memory.Put(key, memory.ReaderAt(10), "hot");
  for (std::uint64_t key = 1000; key < 30000; ++key) {
    memory.Put(key, memory.ReaderAt(10), std::string(50, 'x'));
    memory.Outcome(key % 100, memory.ReaderAt(10));
  }
  int kept = 0;
  for (std::uint64_t key = 0; key < 100; ++key)
    kept += memory.Outcome(key, memory.ReaderAt(10)) == Lookup::kHit;
  EXPECT_GE(kept, 98);  // a full bucket may push one out
  EXPECT_GT(memory.arena.Figures().evictions, 20000U);
}

TEST(Arena, ItsStructureHoldsUnderChurnAndNoBlockIsLost) {
  ArenaMemory memory(256 << 10);
  std::mt19937_64 random(42);
  for (int i = 0; i < 30000; ++i) {
    std::uint64_t key = random() % 3000;
    switch (random() % 4) {
      case 0:
        memory.Record(key, 1);
        break;
      case 1:
        memory.Outcome(key, memory.ReaderAt(10));
        break;
      default:
        memory.Put(key, memory.ReaderAt(10),
                   std::string(random() % 8 ? random() % 300 : random() % 20000, 'x'));
    }
    if (i % 5000 == 0) {
      ASSERT_EQ(memory.Problems(), "");
    }
    if (i % 10000 == 0) memory.arena.RaiseFloor(0, 1);
  }
  ASSERT_EQ(memory.Problems(), "");
  EXPECT_EQ(memory.arena.Figures().used_bytes, memory.arena.state(0).blocks.load() * sizeof(Block));
}

TEST(Arena, EverySizeMakesAWorkingArena) {
  for (std::uint64_t bytes = Arena::MinimalBytes(4); bytes < (16U << 20); bytes = bytes * 3 / 2) {
    ArenaMemory memory(bytes);
    for (std::uint64_t key = 0; key < 100; ++key)
      ASSERT_EQ(memory.Put(key, memory.ReaderAt(10), std::string(200, 'x')), Install::kDone);
    ASSERT_EQ(memory.Problems(), "") << bytes;
    EXPECT_LE(memory.arena.Figures().block_bytes, bytes);
    EXPECT_GE(memory.arena.Figures().block_bytes, bytes / 2);
  }
}

}  // namespace
}  // namespace teamscale::core

#include "teamscale/core/cluster/settlement.h"

#include <gtest/gtest.h>

namespace teamscale::core {
namespace {

constexpr std::uint64_t kBoot = 7;
const Snapshot kSnapshot = *Snapshot::Parse("100:110:100,103,107");

Gid Of(std::uint64_t transaction, std::uint64_t boot = kBoot) {
  return {.cluster = "c", .router = 1, .boot = boot, .transaction = transaction};
}

TEST(Snapshot, SeesWhatHasEnded) {
  EXPECT_TRUE(kSnapshot.HasEnded(99));
  EXPECT_FALSE(kSnapshot.HasEnded(100));
  EXPECT_TRUE(kSnapshot.HasEnded(101));
  EXPECT_FALSE(kSnapshot.HasEnded(107));
  EXPECT_TRUE(kSnapshot.HasEnded(109));
  EXPECT_FALSE(kSnapshot.HasEnded(110));
  EXPECT_FALSE(kSnapshot.HasEnded(~0ULL));
}

TEST(Snapshot, MayHaveNothingInProgress) {
  auto snapshot = Snapshot::Parse("100:100:");
  ASSERT_TRUE(snapshot);
  EXPECT_TRUE(snapshot->HasEnded(99));
  EXPECT_FALSE(snapshot->HasEnded(100));
}

TEST(Snapshot, IsNotReadFromOtherTexts) {
  for (const char* text : {"", "1", "1:2", "1:2:3:4", "a:2:", "1:b:", "1:2:c", "1:2:3,,4", "::"})
    EXPECT_FALSE(Snapshot::Parse(text)) << text;
}

TEST(Settle, LeavesARunningTransactionAlone) {
  EXPECT_EQ(Settle(Of(103), false, kBoot, kSnapshot), Settlement::kLeave);
  EXPECT_EQ(Settle(Of(110), false, kBoot, kSnapshot), Settlement::kLeave);
}

TEST(Settle, RollsBackWhatEndedWithoutARecord) {
  EXPECT_EQ(Settle(Of(101), false, kBoot, kSnapshot), Settlement::kRollBack);
}

TEST(Settle, RollsBackWhatAnEarlierStartLeftEvenUnderAnIdThatIsRunningNow) {
  EXPECT_EQ(Settle(Of(103, kBoot + 1), false, kBoot, kSnapshot), Settlement::kRollBack);
}

TEST(Settle, CommitsWhatHasARecordWhicheverStartWroteIt) {
  EXPECT_EQ(Settle(Of(101), true, kBoot, kSnapshot), Settlement::kCommit);
  EXPECT_EQ(Settle(Of(103, kBoot + 1), true, kBoot, kSnapshot), Settlement::kCommit);
}

}  // namespace
}  // namespace teamscale::core

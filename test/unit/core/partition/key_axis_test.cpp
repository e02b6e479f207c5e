#include "teamscale/core/partition/key_axis.h"

#include <gtest/gtest.h>

#include <limits>

#include "civil.h"

namespace teamscale::core {
namespace {

constexpr Point kLeast = std::numeric_limits<Point>::min();
constexpr Point kGreatest = std::numeric_limits<Point>::max();

TEST(KeyAxis, WritesBoundsThatNoSettingCanChange) {
  Point time = Civil(2024, 1, 31, 9, 30);
  EXPECT_EQ(KeyAxis(KeyFormat::kDate).Literal(Civil(2024, 1, 31)), "2024-01-31");
  EXPECT_EQ(KeyAxis(KeyFormat::kTimestamp).Literal(time), "2024-01-31 09:30:00");
  EXPECT_EQ(KeyAxis(KeyFormat::kTimestampTz).Literal(time), "2024-01-31 09:30:00+00");
  EXPECT_EQ(KeyAxis(KeyFormat::kNumber).Literal(-1000), "-1000");
  EXPECT_EQ(KeyAxis(KeyFormat::kEpochSeconds).Literal(time), "1706693400");
  EXPECT_EQ(KeyAxis(KeyFormat::kEpochMilliseconds).Literal(-kSecond), "-1000");
  EXPECT_EQ(KeyAxis(KeyFormat::kUuidV7).Literal(time), "018d5eda-95c0-0000-0000-000000000000");
  EXPECT_EQ(KeyAxis(KeyFormat::kUlid).Literal(time), "01HNFDN5E00000000000000000");
}

TEST(KeyAxis, HoldsTheYears1To9999) {
  for (KeyFormat format : {KeyFormat::kDate, KeyFormat::kTimestamp, KeyFormat::kTimestampTz,
                           KeyFormat::kEpochSeconds, KeyFormat::kEpochMilliseconds}) {
    KeyAxis axis(format);
    EXPECT_TRUE(axis.Contains(Civil(1)));
    EXPECT_FALSE(axis.Contains(Civil(1) - 1));
    EXPECT_TRUE(axis.Contains(Civil(10000) - 1));
    EXPECT_FALSE(axis.Contains(Civil(10000)));
    EXPECT_EQ(axis.Cut({}), (Range{Civil(1), Civil(10000)}));
    EXPECT_EQ(axis.Cut({Civil(2024), Civil(2025)}), (Range{Civil(2024), Civil(2025)}));
  }
}

TEST(KeyAxis, BeginsIn1970WhereIdsDo) {
  for (KeyFormat format : {KeyFormat::kUuidV7, KeyFormat::kUlid}) {
    KeyAxis axis(format);
    EXPECT_TRUE(axis.Contains(0));
    EXPECT_FALSE(axis.Contains(-1));
    EXPECT_EQ(axis.Cut({-5 * kDay, kDay}), (Range{0, kDay}));
  }
}

TEST(KeyAxis, HasNoBoundBeyondTheValuesOfItsType) {
  KeyAxis small(KeyFormat::kNumber, IntegerWidth::kSmallint);
  EXPECT_TRUE(small.Contains(32767));
  EXPECT_FALSE(small.Contains(32768));
  EXPECT_TRUE(small.Contains(-32768));
  EXPECT_FALSE(small.Contains(-32769));
  EXPECT_EQ(small.Cut({32000, 33000}), (Range{32000, std::nullopt}));
  EXPECT_EQ(small.Cut({-33000, -32000}), (Range{std::nullopt, -32000}));
  EXPECT_EQ(small.Cut({-32768, 32767}), (Range{-32768, 32767}));

  KeyAxis big(KeyFormat::kNumber);
  EXPECT_TRUE(big.Contains(kLeast));
  EXPECT_TRUE(big.Contains(kGreatest));

  KeyAxis epoch(KeyFormat::kEpochSeconds, IntegerWidth::kInteger);
  Point last = epoch.HighestBound();
  EXPECT_EQ(last, Civil(2038, 1, 19, 3, 14) + 7 * kSecond);
  EXPECT_TRUE(epoch.Contains(last + kSecond - 1));
  EXPECT_FALSE(epoch.Contains(last + kSecond));
  EXPECT_EQ(epoch.Cut({Civil(2038), Civil(2039)}), (Range{Civil(2038), std::nullopt}));
}

TEST(KeyAxis, TakesIntegersToTheirPoints) {
  EXPECT_EQ(KeyAxis(KeyFormat::kNumber).PointOfInteger(-7), -7);
  EXPECT_EQ(KeyAxis(KeyFormat::kEpochSeconds).PointOfInteger(1706693400),
            Civil(2024, 1, 31, 9, 30));
  EXPECT_EQ(KeyAxis(KeyFormat::kEpochMilliseconds).PointOfInteger(-1000), -kSecond);
  for (KeyFormat format : {KeyFormat::kEpochSeconds, KeyFormat::kEpochMilliseconds}) {
    KeyAxis axis(format);
    EXPECT_FALSE(axis.Contains(axis.PointOfInteger(kGreatest)));
    EXPECT_FALSE(axis.Contains(axis.PointOfInteger(kLeast)));
  }
}

}  // namespace
}  // namespace teamscale::core

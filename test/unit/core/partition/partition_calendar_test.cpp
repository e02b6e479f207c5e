#include "teamscale/core/partition/partition_calendar.h"

#include <gtest/gtest.h>

#include <limits>
#include <stdexcept>

#include "civil.h"

namespace teamscale::core {
namespace {

const auto kUtc = std::make_shared<FixedZone>();
constexpr Step kMonthly{StepUnit::kMonths, 1};
constexpr Step kDaily{StepUnit::kDays, 1};

PartitionCalendar CalendarOf(KeyFormat format, Step step,
                             std::shared_ptr<const ZoneRules> zone = kUtc) {
  return PartitionCalendar(KeyAxis(format), std::move(zone), {{.step = step}});
}

Range Times(Point lower, Point upper) { return {.lower = lower, .upper = upper}; }

TEST(PartitionCalendar, DividesByMonthsQuartersAndYearsOfTheCalendar) {
  Point leap_day = Civil(2024, 2, 29, 12);
  auto range = [&](std::int64_t months) {
    return CalendarOf(KeyFormat::kTimestamp, {StepUnit::kMonths, months}).RangeOf(leap_day);
  };
  EXPECT_EQ(range(1), Times(Civil(2024, 2), Civil(2024, 3)));
  EXPECT_EQ(range(3), Times(Civil(2024, 1), Civil(2024, 4)));
  EXPECT_EQ(range(12), Times(Civil(2024), Civil(2025)));
  EXPECT_EQ(range(120), Times(Civil(2020), Civil(2030)));
  EXPECT_EQ(range(5), Times(Civil(2023, 10), Civil(2024, 3)));
}

TEST(PartitionCalendar, BeginsWeeksOnMondays) {
  Point sunday = Civil(2024, 12, 29, 23);
  EXPECT_EQ(CalendarOf(KeyFormat::kDate, {StepUnit::kDays, 7}).RangeOf(sunday),
            Times(Civil(2024, 12, 23), Civil(2024, 12, 30)));
  EXPECT_EQ(CalendarOf(KeyFormat::kDate, {StepUnit::kDays, 14}).RangeOf(Civil(2000, 1, 2)),
            Times(Civil(1999, 12, 20), Civil(2000, 1, 3)));
  EXPECT_EQ(CalendarOf(KeyFormat::kDate, {StepUnit::kDays, 10}).RangeOf(Civil(1999, 12, 31)),
            Times(Civil(1999, 12, 22), Civil(2000, 1, 1)));
}

TEST(PartitionCalendar, CountsElapsedTimeFrom2000InTheZone) {
  auto zone = std::make_shared<FixedZone>(5 * kHour + 30 * kMinute);
  PartitionCalendar calendar =
      CalendarOf(KeyFormat::kTimestampTz, {StepUnit::kMicroseconds, kHour}, zone);
  EXPECT_EQ(calendar.RangeOf(Civil(2024, 1, 1, 9, 45)),
            Times(Civil(2024, 1, 1, 9, 30), Civil(2024, 1, 1, 10, 30)));
  EXPECT_EQ(calendar.RangeOf(Civil(1950, 1, 1, 9, 15)),
            Times(Civil(1950, 1, 1, 8, 30), Civil(1950, 1, 1, 9, 30)));
}

TEST(PartitionCalendar, CountsNumbersFromZeroOnBothSides) {
  PartitionCalendar calendar = CalendarOf(KeyFormat::kNumber, {StepUnit::kNumbers, 1000});
  EXPECT_EQ(calendar.RangeOf(0), Times(0, 1000));
  EXPECT_EQ(calendar.RangeOf(999), Times(0, 1000));
  EXPECT_EQ(calendar.RangeOf(-1), Times(-1000, 0));
  EXPECT_EQ(calendar.RangeOf(-1000), Times(-1000, 0));
}

TEST(PartitionCalendar, ReachesTheEndsOfIntegers) {
  constexpr Point kLeast = std::numeric_limits<Point>::min();
  constexpr Point kGreatest = std::numeric_limits<Point>::max();
  for (std::int64_t width : {std::int64_t{1}, std::int64_t{1000}, kGreatest}) {
    PartitionCalendar calendar = CalendarOf(KeyFormat::kNumber, {StepUnit::kNumbers, width});
    std::optional<Range> last = calendar.RangeOf(kGreatest);
    ASSERT_TRUE(last);
    EXPECT_EQ(last->upper, std::nullopt);
    EXPECT_EQ(last->lower, kGreatest - kGreatest % width);
    EXPECT_EQ(calendar.Next(*last), std::nullopt);
    EXPECT_EQ(calendar.Previous(*last)->upper, last->lower);
    std::optional<Range> first = calendar.RangeOf(kLeast);
    ASSERT_TRUE(first);
    EXPECT_EQ(calendar.Previous(*first), std::nullopt);
    EXPECT_EQ(calendar.Next(*first)->lower, first->upper);
    EXPECT_TRUE(first->Contains(kLeast));
  }
}

TEST(PartitionCalendar, BeginsInYear1AndEndsIn9999) {
  auto east = std::make_shared<FixedZone>(14 * kHour);
  for (KeyFormat format : {KeyFormat::kDate, KeyFormat::kTimestamp, KeyFormat::kTimestampTz,
                           KeyFormat::kEpochSeconds}) {
    for (Step step : {kMonthly, kDaily, Step{StepUnit::kDays, 7}, Step{StepUnit::kMonths, 1200}}) {
      PartitionCalendar calendar = CalendarOf(format, step, east);
      std::optional<Range> first = calendar.RangeOf(Civil(1));
      ASSERT_TRUE(first);
      EXPECT_EQ(first->lower, Civil(1));
      EXPECT_EQ(calendar.Previous(*first), std::nullopt);
      std::optional<Range> last = calendar.RangeOf(Civil(10000) - 1);
      ASSERT_TRUE(last);
      EXPECT_EQ(last->upper, Civil(10000));
      EXPECT_EQ(calendar.Next(*last), std::nullopt);
      EXPECT_EQ(calendar.RangeOf(Civil(10000)), std::nullopt);
      EXPECT_EQ(calendar.RangeOf(Civil(1) - 1), std::nullopt);
    }
  }
}

TEST(PartitionCalendar, LeavesCivilKeysToTheWallWhateverTheZone) {
  auto zone = std::make_shared<FixedZone>(-9 * kHour);
  PartitionCalendar calendar = CalendarOf(KeyFormat::kTimestamp, kDaily, zone);
  EXPECT_EQ(calendar.RangeOf(Civil(2024, 5, 5, 3)), Times(Civil(2024, 5, 5), Civil(2024, 5, 6)));
  // But what day it is depends on where the clock hangs.
  EXPECT_EQ(calendar.PointOfInstant(Civil(2024, 5, 5, 3)), Civil(2024, 5, 4, 18));
  EXPECT_EQ(calendar.InstantOfPoint(Civil(2024, 5, 4, 18)), Civil(2024, 5, 5, 3));
}

TEST(PartitionCalendar, CutsRangesWhereTheIntervalChanges) {
  PartitionCalendar calendar(KeyAxis(KeyFormat::kDate), kUtc,
                             {{.step = kMonthly},
                              {.from = Civil(2024, 4, 24), .step = {StepUnit::kDays, 7}},
                              {.from = Civil(2024, 4, 25), .step = kDaily}});
  EXPECT_EQ(calendar.RangeOf(Civil(2024, 4, 10)), Times(Civil(2024, 4), Civil(2024, 4, 24)));
  EXPECT_EQ(calendar.RangeOf(Civil(2024, 4, 24)), Times(Civil(2024, 4, 24), Civil(2024, 4, 25)));
  EXPECT_EQ(calendar.RangeOf(Civil(2024, 4, 25)), Times(Civil(2024, 4, 25), Civil(2024, 4, 26)));
  EXPECT_EQ(calendar.StepAt(Civil(2024, 4, 23)), kMonthly);
  EXPECT_EQ(calendar.StepAt(Civil(2024, 4, 25)), kDaily);
  EXPECT_EQ(calendar.Previous(*calendar.RangeOf(Civil(2024, 4, 25))),
            Times(Civil(2024, 4, 24), Civil(2024, 4, 25)));
}

TEST(PartitionCalendar, RefusesSegmentsThatContradictEachOther) {
  auto with = [](std::vector<Segment> segments) {
    PartitionCalendar(KeyAxis(KeyFormat::kDate), kUtc, std::move(segments));
  };
  EXPECT_THROW(with({}), std::invalid_argument);
  EXPECT_THROW(with({{.from = Civil(2024), .step = kDaily}}), std::invalid_argument);
  EXPECT_THROW(with({{.step = kDaily}, {.step = kDaily}}), std::invalid_argument);
  EXPECT_THROW(with({{.step = kDaily}, {.from = Civil(2024, 1, 1, 1), .step = kDaily}}),
               std::invalid_argument);
  EXPECT_THROW(with({{.step = kDaily}, {.from = Civil(1), .step = kDaily}}), std::invalid_argument);
  EXPECT_THROW(with({{.step = kDaily}, {.from = Civil(10000), .step = kDaily}}),
               std::invalid_argument);
  EXPECT_THROW(with({{.step = kDaily},
                     {.from = Civil(2025), .step = kDaily},
                     {.from = Civil(2024), .step = kDaily}}),
               std::invalid_argument);
}

TEST(PartitionCalendar, GoesBackByTheCalendarThenByElapsedTime) {
  PartitionCalendar calendar = CalendarOf(KeyFormat::kTimestamp, kMonthly);
  Point now = Civil(2024, 3, 31, 12);
  EXPECT_EQ(calendar.Before(now, {.months = 1}), Civil(2024, 2, 29, 12));
  EXPECT_EQ(calendar.Before(now, {.months = 1, .days = 1, .microseconds = kHour}),
            Civil(2024, 2, 28, 11));
  EXPECT_EQ(calendar.Before(now, {}), now);
  EXPECT_EQ(calendar.Before(now, {.months = 12 * 2024}), std::nullopt);
  EXPECT_EQ(calendar.Before(now, {.months = INT64_MAX}), std::nullopt);
  EXPECT_EQ(calendar.Before(now, {.days = INT64_MAX}), std::nullopt);
  EXPECT_EQ(calendar.Before(now, {.microseconds = INT64_MAX}), std::nullopt);
  EXPECT_EQ(calendar.Before(now, {.days = -1}), std::nullopt);
}

TEST(PartitionCalendar, GoesBackByWholeRanges) {
  PartitionCalendar calendar = CalendarOf(KeyFormat::kTimestamp, kMonthly);
  Point now = Civil(2024, 3, 31, 12);
  EXPECT_EQ(calendar.RangesBefore(now, 0), Civil(2024, 3));
  EXPECT_EQ(calendar.RangesBefore(now, 3), Civil(2023, 12));
  EXPECT_EQ(calendar.RangesBefore(now, 12 * 2024), std::nullopt);
  EXPECT_EQ(calendar.RangesBefore(Civil(10000), 1), std::nullopt);
}

}  // namespace
}  // namespace teamscale::core

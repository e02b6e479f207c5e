#include "teamscale/core/partition/civil_time.h"

#include <gtest/gtest.h>

#include "civil.h"

namespace teamscale::core {
namespace {

TEST(CivilTime, CountsEveryDayOfTenThousandYearsOnce) {
  CivilDate date{.year = 0, .month = 12, .day = 31};
  std::int64_t days = DaysOf(date);
  EXPECT_EQ(days, -719163);
  while (date.year < 10001) {
    CivilDate next = DateOfDays(++days);
    ASSERT_EQ(DaysOf(next), days);
    bool next_day = next.day == date.day + 1 && next.month == date.month;
    bool next_month = next.day == 1 && next.month == date.month + 1 && date.day >= 28;
    bool next_year = next == CivilDate{.year = date.year + 1, .month = 1, .day = 1};
    ASSERT_TRUE(next_day || next_month || (next_year && date.month == 12 && date.day == 31));
    date = next;
  }
  EXPECT_EQ(days, DaysOf({.year = 10001, .month = 1, .day = 1}));
  EXPECT_EQ(DaysOf({.year = 1970, .month = 1, .day = 1}), 0);
}

TEST(CivilTime, KnowsLeapYears) {
  EXPECT_EQ(DateOfDays(DaysOf({.year = 2024, .month = 2, .day = 28}) + 1).day, 29);
  EXPECT_EQ(DateOfDays(DaysOf({.year = 2000, .month = 2, .day = 28}) + 1).day, 29);
  EXPECT_EQ(DateOfDays(DaysOf({.year = 1900, .month = 2, .day = 28}) + 1).month, 3);
  EXPECT_EQ(DateOfDays(DaysOf({.year = 2023, .month = 2, .day = 28}) + 1).month, 3);
}

TEST(CivilTime, NumbersWeeksByTheirThursday) {
  auto week = [](std::int64_t year, int month, int day) {
    return IsoWeekOfDays(DaysOf({.year = year, .month = month, .day = day}));
  };
  EXPECT_EQ(week(2024, 1, 1), (IsoWeek{2024, 1}));
  EXPECT_EQ(week(2024, 12, 29), (IsoWeek{2024, 52}));
  EXPECT_EQ(week(2024, 12, 30), (IsoWeek{2025, 1}));
  EXPECT_EQ(week(2021, 1, 3), (IsoWeek{2020, 53}));
  EXPECT_EQ(week(2021, 1, 4), (IsoWeek{2021, 1}));
  EXPECT_EQ(week(1, 1, 1), (IsoWeek{1, 1}));
}

TEST(CivilTime, AddsMonthsAndStopsAtTheMonthsEnd) {
  EXPECT_EQ(AddMonths(Civil(2024, 1, 31, 9, 30), 1), Civil(2024, 2, 29, 9, 30));
  EXPECT_EQ(AddMonths(Civil(2024, 3, 31), -13), Civil(2023, 2, 28));
  EXPECT_EQ(AddMonths(Civil(2024, 5, 15), -5), Civil(2023, 12, 15));
  EXPECT_EQ(AddMonths(Civil(1, 1, 31), -1), Civil(0, 12, 31));
}

TEST(CivilTime, IsWrittenWithFourDigitsOfTheYearAndTheDecimalsItNeeds) {
  EXPECT_EQ(DateText(Civil(1, 2, 3)), "0001-02-03");
  EXPECT_EQ(DateText(Civil(10000)), "10000-01-01");
  EXPECT_EQ(DateTimeText(Civil(1969, 12, 31, 23, 59)), "1969-12-31 23:59:00");
  EXPECT_EQ(DateTimeText(Civil(2024) + 500 * kMillisecond), "2024-01-01 00:00:00.5");
  EXPECT_EQ(DateTimeText(Civil(2024) - 1), "2023-12-31 23:59:59.999999");
}

TEST(CivilTime, DividesAlikeBelowZero) {
  EXPECT_EQ(FloorDivide(-1, 7), -1);
  EXPECT_EQ(FloorDivide(-7, 7), -1);
  EXPECT_EQ(FloorDivide(6, 7), 0);
  EXPECT_EQ(FloorModulo(-1, 7), 6);
  EXPECT_EQ(FloorModulo(-7, 7), 0);
}

}  // namespace
}  // namespace teamscale::core

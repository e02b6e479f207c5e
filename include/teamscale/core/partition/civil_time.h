// The calendar on the wall: days, months and years of the proleptic Gregorian calendar, as
// PostgreSQL reckons. A *civil time* is the microseconds since 1970-01-01 00:00 that a clock and a
// calendar would show, with no zone: every day has 24 hours.
#pragma once

#include <cstdint>
#include <string>

#include "teamscale/core/partition/range.h"

namespace teamscale::core {

constexpr std::int64_t kMillisecond = 1000;
constexpr std::int64_t kSecond = 1000 * kMillisecond;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;

// Division and remainder that go on alike below zero; the divisor is positive.
constexpr std::int64_t FloorDivide(std::int64_t value, std::int64_t divisor) {
  return value / divisor - (value % divisor < 0 ? 1 : 0);
}
constexpr std::int64_t FloorModulo(std::int64_t value, std::int64_t divisor) {
  std::int64_t remainder = value % divisor;
  return remainder < 0 ? remainder + divisor : remainder;
}

struct CivilDate {
  std::int64_t year = 1970;
  int month = 1;  // from 1
  int day = 1;    // from 1

  bool operator==(const CivilDate&) const = default;
};

// A week begins on a Monday; the first of a year is the one with the year's first Thursday.
struct IsoWeek {
  std::int64_t year = 1970;
  int week = 1;

  bool operator==(const IsoWeek&) const = default;
};

// Days since 1970-01-01. Years go on below 1: 0 is 1 BC.
std::int64_t DaysOf(const CivilDate& date);
CivilDate DateOfDays(std::int64_t days);
IsoWeek IsoWeekOfDays(std::int64_t days);

// Months since January of year 0, and the civil time at which such a month begins.
std::int64_t MonthOf(Point civil);
Point StartOfMonth(std::int64_t month);

// The same day and time of another month; the last day of that month where it has no such day.
Point AddMonths(Point civil, std::int64_t months);

// 2024-01-31, and 2024-01-31 09:30:00 with as many decimals as are needed.
std::string DateText(Point civil);
std::string DateTimeText(Point civil);

}  // namespace teamscale::core

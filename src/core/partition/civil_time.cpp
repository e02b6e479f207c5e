#include "teamscale/core/partition/civil_time.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace teamscale::core {

namespace {

constexpr std::int64_t kMonthsOfYear = 12;
constexpr std::int64_t kYearsOfEra = 400;
constexpr std::int64_t kDaysOfEra = 146097;
constexpr std::int64_t kDaysBefore1970 = 719468;  // from 0000-03-01

// Digits with leading zeros; only the year can be negative or longer.
std::string Padded(std::int64_t value, int width) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%0*lld", width, static_cast<long long>(value));
  return text.data();
}

}  // namespace

// Both count from March, so that the leap day is the last of a year, and in eras of 400 years,
// after which the calendar begins anew.
std::int64_t DaysOf(const CivilDate& date) {
  std::int64_t year = date.month > 2 ? date.year : date.year - 1;
  std::int64_t year_of_era = FloorModulo(year, kYearsOfEra);
  std::int64_t day_of_year = (153 * ((date.month + 9) % 12) + 2) / 5 + date.day - 1;
  std::int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return FloorDivide(year, kYearsOfEra) * kDaysOfEra + day_of_era - kDaysBefore1970;
}

CivilDate DateOfDays(std::int64_t days) {
  std::int64_t shifted = days + kDaysBefore1970;
  std::int64_t day_of_era = FloorModulo(shifted, kDaysOfEra);
  std::int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  std::int64_t month_from_march = (5 * day_of_year + 2) / 153;
  CivilDate date;
  date.day = static_cast<int>(day_of_year - (153 * month_from_march + 2) / 5 + 1);
  date.month = static_cast<int>((month_from_march + 2) % 12 + 1);
  date.year = FloorDivide(shifted, kDaysOfEra) * kYearsOfEra + year_of_era + (date.month <= 2);
  return date;
}

IsoWeek IsoWeekOfDays(std::int64_t days) {
  // 1970-01-01 was a Thursday; a week lies in the year that its Thursday lies in.
  std::int64_t thursday = days - FloorModulo(days + 3, 7) + 3;
  std::int64_t year = DateOfDays(thursday).year;
  std::int64_t first = DaysOf({.year = year, .month = 1, .day = 1});
  return {.year = year, .week = static_cast<int>((thursday - first) / 7 + 1)};
}

std::int64_t MonthOf(Point civil) {
  CivilDate date = DateOfDays(FloorDivide(civil, kDay));
  return date.year * kMonthsOfYear + date.month - 1;
}

Point StartOfMonth(std::int64_t month) {
  return kDay * DaysOf({.year = FloorDivide(month, kMonthsOfYear),
                        .month = static_cast<int>(FloorModulo(month, kMonthsOfYear)) + 1,
                        .day = 1});
}

Point AddMonths(Point civil, std::int64_t months) {
  std::int64_t target = MonthOf(civil) + months;
  Point within = civil - StartOfMonth(MonthOf(civil));
  std::int64_t days_of_target = (StartOfMonth(target + 1) - StartOfMonth(target)) / kDay;
  std::int64_t day = std::min(within / kDay, days_of_target - 1);
  return StartOfMonth(target) + day * kDay + within % kDay;
}

std::string DateText(Point civil) {
  CivilDate date = DateOfDays(FloorDivide(civil, kDay));
  return Padded(date.year, 4) + "-" + Padded(date.month, 2) + "-" + Padded(date.day, 2);
}

std::string DateTimeText(Point civil) {
  Point time = FloorModulo(civil, kDay);
  std::string text = DateText(civil) + " " + Padded(time / kHour, 2) + ":" +
                     Padded(time % kHour / kMinute, 2) + ":" + Padded(time % kMinute / kSecond, 2);
  if (time % kSecond != 0) {
    text += "." + Padded(time % kSecond, 6);
    text.erase(text.find_last_not_of('0') + 1);
  }
  return text;
}

}  // namespace teamscale::core

// The calendar in real time zones, as the machine's database knows them.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "civil.h"
#include "system_zone.h"
#include "teamscale/core/partition/partition_calendar.h"

namespace teamscale::core {
namespace {

PartitionCalendar In(const std::string& zone, Step step,
                     KeyFormat format = KeyFormat::kTimestampTz) {
  return PartitionCalendar(KeyAxis(format), std::make_shared<SystemZone>(zone), {{.step = step}});
}

constexpr Step kMonthly{StepUnit::kMonths, 1};
constexpr Step kDaily{StepUnit::kDays, 1};

std::optional<Range> Times(Point lower, Point upper) {
  return Range{.lower = lower, .upper = upper};
}

TEST(ZoneCalendar, HasDaysOf23And25Hours) {
  PartitionCalendar calendar = In("Europe/Berlin", kDaily);
  EXPECT_EQ(calendar.RangeOf(Civil(2024, 3, 31, 12)),
            Times(Civil(2024, 3, 30, 23), Civil(2024, 3, 31, 22)));
  EXPECT_EQ(calendar.RangeOf(Civil(2024, 10, 27, 12)),
            Times(Civil(2024, 10, 26, 22), Civil(2024, 10, 27, 23)));
  EXPECT_EQ(In("Europe/Berlin", kMonthly).RangeOf(Civil(2024, 3, 31, 12)),
            Times(Civil(2024, 2, 29, 23), Civil(2024, 3, 31, 22)));
}

TEST(ZoneCalendar, BeginsADayWithoutMidnightWhenItBegins) {
  // Clocks went from 00:00 to 01:00.
  EXPECT_EQ(In("America/Sao_Paulo", kDaily).RangeOf(Civil(2018, 11, 4, 3)),
            Times(Civil(2018, 11, 4, 3), Civil(2018, 11, 5, 2)));
  EXPECT_EQ(In("America/Sao_Paulo", kDaily).RangeOf(Civil(2018, 11, 4, 3) - 1),
            Times(Civil(2018, 11, 3, 3), Civil(2018, 11, 4, 3)));
  EXPECT_EQ(In("Asia/Beirut", kDaily).RangeOf(Civil(2024, 3, 30, 22)),
            Times(Civil(2024, 3, 30, 22), Civil(2024, 3, 31, 21)));
}

TEST(ZoneCalendar, BeginsADayWithTwoMidnightsAtTheSecond) {
  // Clocks went from 01:00 back to 00:00: the first hour of that date is the 25th of the day
  // before.
  PartitionCalendar calendar = In("America/Havana", kDaily);
  EXPECT_EQ(calendar.RangeOf(Civil(2020, 11, 1, 4, 30)),
            Times(Civil(2020, 10, 31, 4), Civil(2020, 11, 1, 5)));
  EXPECT_EQ(calendar.RangeOf(Civil(2020, 11, 1, 5)),
            Times(Civil(2020, 11, 1, 5), Civil(2020, 11, 2, 5)));
}

TEST(ZoneCalendar, LeavesOutADayThatAZoneLeftOut) {
  // Samoa went from Thursday to Saturday.
  PartitionCalendar calendar = In("Pacific/Apia", kDaily);
  Point saturday = Civil(2011, 12, 30, 10);
  EXPECT_EQ(calendar.RangeOf(saturday - 1), Times(saturday - kDay, saturday));
  EXPECT_EQ(calendar.RangeOf(saturday), Times(saturday, saturday + kDay));
  EXPECT_EQ(calendar.Next(*calendar.RangeOf(saturday - 1)), calendar.RangeOf(saturday));
  EXPECT_EQ(DateText(calendar.CivilTimeOf(saturday)), "2011-12-31");
}

TEST(ZoneCalendar, FollowsAZoneThatTurnsItsClocksInRamadan) {
  PartitionCalendar calendar = In("Africa/Casablanca", kDaily);
  // Back on 2024-03-10 at 03:00, forward on 2024-04-14 at 02:00.
  EXPECT_EQ(calendar.RangeOf(Civil(2024, 3, 10, 12)),
            Times(Civil(2024, 3, 9, 23), Civil(2024, 3, 11)));
  EXPECT_EQ(calendar.RangeOf(Civil(2024, 4, 14, 12)),
            Times(Civil(2024, 4, 14), Civil(2024, 4, 14, 23)));
}

TEST(ZoneCalendar, LetsElapsedHoursPassOverAChangeOfClocks) {
  PartitionCalendar calendar =
      In("Europe/Berlin", {StepUnit::kMicroseconds, 6 * kHour}, KeyFormat::kUuidV7);
  // The grid is that of the winter's midnight.
  EXPECT_EQ(calendar.RangeOf(Civil(2024, 3, 31, 1)),
            Times(Civil(2024, 3, 30, 23), Civil(2024, 3, 31, 5)));
}

TEST(ZoneCalendar, GoesBackByTheCalendarInItsZone) {
  PartitionCalendar calendar = In("Europe/Berlin", kDaily);
  Point noon = Civil(2024, 3, 31, 10);  // 12:00 there, in summer
  EXPECT_EQ(calendar.Before(noon, {.days = 1}), Civil(2024, 3, 30, 11));
  EXPECT_EQ(calendar.Before(noon, {.microseconds = kDay}), Civil(2024, 3, 30, 10));
  EXPECT_EQ(calendar.Before(noon, {.months = 1}), Civil(2024, 2, 29, 11));
}

// What must hold in every zone: ranges follow each other without a gap, none is empty, every point
// finds its range, and the bounds are the instants of the civil midnights and no others.
void WalkDays(const std::string& zone_name, Point from, Point to) {
  SystemZone zone(zone_name);
  PartitionCalendar calendar = In(zone_name, kDaily);
  std::optional<Range> range = calendar.RangeOf(zone.LocalToInstant(from));
  Point midnight = from;
  while (midnight < to) {
    ASSERT_EQ(*range->lower, zone.LocalToInstant(midnight)) << zone_name << DateText(midnight);
    ASSERT_LT(*range->lower, *range->upper);
    ASSERT_EQ(calendar.RangeOf(*range->upper - 1), range) << zone_name << DateText(midnight);
    std::optional<Range> next = calendar.Next(*range);
    ASSERT_EQ(next->lower, range->upper);
    while (zone.LocalToInstant(midnight) == *range->lower) midnight += kDay;
    range = next;
  }
}

TEST(ZoneCalendar, HasTheMidnightsOfManyZonesAsBounds) {
  for (const char* zone : {"UTC",
                           "Europe/Berlin",
                           "Europe/London",
                           "Europe/Lisbon",
                           "Europe/Moscow",
                           "Asia/Beirut",
                           "Asia/Gaza",
                           "Asia/Kathmandu",
                           "Asia/Pyongyang",
                           "Asia/Tehran",
                           "Africa/Cairo",
                           "Africa/Casablanca",
                           "America/Sao_Paulo",
                           "America/Havana",
                           "America/St_Johns",
                           "America/Caracas",
                           "America/Asuncion",
                           "Atlantic/Azores",
                           "Australia/Lord_Howe",
                           "Antarctica/Troll",
                           "Pacific/Apia",
                           "Pacific/Auckland",
                           "Pacific/Chatham",
                           "Pacific/Kiritimati"})
    WalkDays(zone, Civil(2000), Civil(2041));
}

TEST(ZoneCalendar, HasTheMidnightsOfTimesBeforeClocksAgreed) {
  WalkDays("Pacific/Kwajalein", Civil(1993, 8), Civil(1993, 9));    // left out a day
  WalkDays("Pacific/Kiritimati", Civil(1994, 12), Civil(1995, 2));  // the same
  WalkDays("Asia/Manila", Civil(1844, 12), Civil(1845, 2));         // the same
  WalkDays("America/Juneau", Civil(1867, 10), Civil(1867, 11));     // had a day twice
  WalkDays("Europe/Amsterdam", Civil(1937, 6), Civil(1937, 8));     // seconds ahead
  WalkDays("Africa/Monrovia", Civil(1972), Civil(1972, 2));
  for (const char* zone : {"Europe/Berlin", "America/New_York", "Asia/Tokyo"}) {
    WalkDays(zone, Civil(1, 1, 2), Civil(2));
    WalkDays(zone, Civil(9999), Civil(9999, 12, 31));
  }
}

}  // namespace
}  // namespace teamscale::core

#include "teamscale/core/partition/partition_name.h"

#include <gtest/gtest.h>

#include <set>

#include "civil.h"
#include "system_zone.h"

namespace teamscale::core {
namespace {

bool NoneIsTaken(const std::string&) { return false; }

PartitionCalendar CalendarOf(
    KeyFormat format, Step step,
    std::shared_ptr<const ZoneRules> zone = std::make_shared<FixedZone>()) {
  return PartitionCalendar(KeyAxis(format), std::move(zone), {{.step = step}});
}

// The period of the range that holds a point.
std::string PeriodOf(const PartitionCalendar& calendar, Point point) {
  return NamePartsOf(calendar, *calendar.RangeOf(point)).period;
}

TEST(PartitionName, SaysWhichPeriodItIsByTheStep) {
  Point time = Civil(2024, 2, 3, 9, 35);
  auto period = [&](StepUnit unit, std::int64_t count) {
    return PeriodOf(CalendarOf(KeyFormat::kTimestamp, {unit, count}), time);
  };
  EXPECT_EQ(period(StepUnit::kMonths, 12), "2024");
  EXPECT_EQ(period(StepUnit::kMonths, 120), "2020");
  EXPECT_EQ(period(StepUnit::kMonths, 3), "2024q1");
  EXPECT_EQ(period(StepUnit::kMonths, 6), "2024_01");
  EXPECT_EQ(period(StepUnit::kMonths, 1), "2024_02");
  EXPECT_EQ(period(StepUnit::kDays, 7), "2024w05");
  EXPECT_EQ(period(StepUnit::kDays, 1), "2024_02_03");
  EXPECT_EQ(period(StepUnit::kMicroseconds, kHour), "2024_02_03_09");
  EXPECT_EQ(period(StepUnit::kMicroseconds, 30 * kMinute), "2024_02_03_0930");
  EXPECT_EQ(period(StepUnit::kMicroseconds, 5 * kSecond), "2024_02_03_093500");
  EXPECT_EQ(period(StepUnit::kMicroseconds, kSecond / 4), "2024_02_03_093500");
  EXPECT_EQ(PeriodOf(CalendarOf(KeyFormat::kTimestamp, {StepUnit::kMicroseconds, kSecond / 4}),
                     time + kSecond / 4),
            "2024_02_03_093500_25");
  EXPECT_EQ(PeriodOf(CalendarOf(KeyFormat::kDate, {StepUnit::kMicroseconds, 2 * kDay}), time),
            "2024_02_02");
}

TEST(PartitionName, TakesTheWeeksYearFromItsThursday) {
  PartitionCalendar weeks = CalendarOf(KeyFormat::kDate, {StepUnit::kDays, 7});
  EXPECT_EQ(PeriodOf(weeks, Civil(2024, 12, 31)), "2025w01");
  EXPECT_EQ(PeriodOf(weeks, Civil(2021, 1, 1)), "2020w53");
}

TEST(PartitionName, ShowsTimesOfThePolicysZone) {
  PartitionCalendar days = CalendarOf(KeyFormat::kTimestampTz, {StepUnit::kDays, 1},
                                      std::make_shared<SystemZone>("America/New_York"));
  NameParts parts = NamePartsOf(days, *days.RangeOf(Civil(2024, 7, 4, 3)));
  EXPECT_EQ(parts.period, "2024_07_03");
  EXPECT_EQ(parts.from, "2024_07_03");
  EXPECT_EQ(parts.to, "2024_07_04");
}

TEST(PartitionName, HasBoundsAsExactAsTheyAre) {
  PartitionCalendar times = CalendarOf(KeyFormat::kTimestamp, {StepUnit::kMicroseconds, 1});
  NameParts parts = NamePartsOf(times, {Civil(2024, 1, 1, 9, 30), Civil(2024, 1, 1, 9, 30) + 1});
  EXPECT_EQ(parts.from, "2024_01_01_0930");
  EXPECT_EQ(parts.to, "2024_01_01_093000_000001");
}

TEST(PartitionName, WritesNumbersWithoutSigns) {
  PartitionCalendar numbers = CalendarOf(KeyFormat::kNumber, {StepUnit::kNumbers, 1000});
  EXPECT_EQ(NamePartsOf(numbers, {-1000, 0}).period, "m1000");
  EXPECT_EQ(NamePartsOf(numbers, {-1000, 0}).to, "0");
  EXPECT_EQ(NamePartsOf(numbers, {}).period, "min");
  EXPECT_EQ(NamePartsOf(numbers, {}).from, "min");
  EXPECT_EQ(NamePartsOf(numbers, {}).to, "max");
}

TEST(PartitionName, NamesListsByValuesAndHashesByRemainders) {
  EXPECT_EQ(NamePartsOf(ListBound{{"eu", std::nullopt, ""}}).value, "eu_null_");
  EXPECT_EQ(NamePartsOf(ListBound{{"eu"}}).period, "eu");
  EXPECT_EQ(NamePartsOf(HashBound{.modulus = 8, .remainder = 3}).period, "3");
}

TEST(PartitionName, FillsItsTemplate) {
  NameParts parts{
      .period = "2024", .from = "a", .to = "b", .value = "v", .modulus = "8", .remainder = "3"};
  auto name = [&](std::string_view name_template) {
    return PartitionName(name_template, "events", parts, NoneIsTaken);
  };
  EXPECT_EQ(name(kDefaultNameTemplate), "events_2024");
  EXPECT_EQ(name("{from}-{to} of {table}"), "a-b of events");
  EXPECT_EQ(name("{value}{modulus}{remainder}"), "v83");
  EXPECT_EQ(name("{{table}} %s \"{period}\""), "{table} %s \"2024\"");
  EXPECT_EQ(name(kDefaultPartitionNameTemplate), "events_default");
}

TEST(PartitionName, IsNeverOneThatIsTaken) {
  std::set<std::string> taken;
  auto is_taken = [&](const std::string& name) { return taken.count(name) > 0; };
  for (const char* table :
       {"events", "a table whose name is as long as a name may be, 63 bytes...."}) {
    for (int i = 0; i < 120; i++) {
      std::string name = PartitionName("{table}_{period}", table, {.period = "2024"}, is_taken);
      ASSERT_LE(name.size(), kNameBytes);
      ASSERT_TRUE(taken.insert(name).second);
    }
  }
  EXPECT_TRUE(is_taken("events_2024"));
  EXPECT_TRUE(is_taken("events_2024_120"));
  EXPECT_FALSE(is_taken("events_2024_1"));
}

TEST(PartitionName, ShortensTheTableBetweenCharacters) {
  std::string table;
  for (int i = 0; i < 30; i++) table += "\xc3\xa9";  // 60 bytes
  std::string name = PartitionName(kDefaultNameTemplate, table, {.period = "2024_01"}, NoneIsTaken);
  EXPECT_EQ(name, table.substr(0, 54) + "_2024_01");
  std::string odd =
      PartitionName(kDefaultNameTemplate, "x" + table, {.period = "2024_01"}, NoneIsTaken);
  EXPECT_EQ(odd, "x" + table.substr(0, 54) + "_2024_01");
  // What is left when a value alone is longer than a name.
  std::string value = PartitionName("{table}_{value}", "t", {.value = table + table}, NoneIsTaken);
  EXPECT_EQ(value, "_" + table + "\xc3\xa9");
  auto first_is_taken = [&](const std::string& each) { return each == value; };
  EXPECT_EQ(PartitionName("{table}_{value}", "t", {.value = table + table}, first_is_taken),
            "_" + table + "_2");
}

TEST(PartitionName, ComesOnlyFromATemplateThatTellsPartitionsApart) {
  EXPECT_EQ(CheckNameTemplate(kDefaultNameTemplate, PolicyKind::kRange), std::nullopt);
  EXPECT_EQ(CheckNameTemplate(kDefaultNameTemplate, PolicyKind::kList), std::nullopt);
  EXPECT_EQ(CheckNameTemplate(kDefaultNameTemplate, PolicyKind::kHash), std::nullopt);
  EXPECT_EQ(CheckNameTemplate("{{{from}}}", PolicyKind::kRange), std::nullopt);
  for (const char* wrong : {"{table}", "p", "", "{period", "period}", "{}{period}", "{Period}",
                            "{value}", "{remainder}", "{period}}", "{{period}}"})
    EXPECT_NE(CheckNameTemplate(wrong, PolicyKind::kRange), std::nullopt) << wrong;
  EXPECT_NE(CheckNameTemplate("{table}_{from}", PolicyKind::kList), std::nullopt);
  EXPECT_NE(CheckNameTemplate("{table}_{modulus}", PolicyKind::kHash), std::nullopt);
  EXPECT_EQ(CheckNameTemplate("{nothing}", PolicyKind::kList)->hint,
            "Use {table}, {period}, {value}.");
}

}  // namespace
}  // namespace teamscale::core

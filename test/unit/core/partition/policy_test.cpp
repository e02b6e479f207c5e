#include "teamscale/core/partition/policy.h"

#include <gtest/gtest.h>

#include "civil.h"

namespace teamscale::core {
namespace {

const auto kUtc = std::make_shared<FixedZone>();

PartitionPolicy RangePolicy(Step step = {StepUnit::kMonths, 1},
                            KeyFormat format = KeyFormat::kDate) {
  return {
      .key = {.column = "at"},
      .rules = RangeRules{.calendar = PartitionCalendar(KeyAxis(format), kUtc, {{.step = step}})}};
}

RangeRules& Rules(PartitionPolicy& policy) { return std::get<RangeRules>(policy.rules); }

std::string MessageOf(const PartitionPolicy& policy) {
  std::optional<Problem> problem = CheckPolicy(policy);
  return problem ? problem->message : "";
}

PartitionPolicy Keeping(Step step, Age age) {
  PartitionPolicy policy = RangePolicy(
      step, step.unit == StepUnit::kNumbers ? KeyFormat::kNumber : KeyFormat::kTimestamp);
  Rules(policy).retention = {.age = age};
  return policy;
}

TEST(Policy, IsFineWithItsDefaults) {
  EXPECT_EQ(MessageOf(RangePolicy()), "");
  EXPECT_EQ(MessageOf({.key = {"v"}, .rules = ListRules{}}), "");
  EXPECT_EQ(MessageOf({.key = {"v"}, .rules = HashRules{.modulus = 8}}), "");
}

TEST(Policy, KeepsAtLeastAnInterval) {
  const std::string message = "retention must not be shorter than the partition interval";
  Step monthly{StepUnit::kMonths, 1};
  EXPECT_EQ(MessageOf(Keeping(monthly, Interval{.months = 1})), "");
  EXPECT_EQ(MessageOf(Keeping(monthly, Interval{.days = 30})), "");
  EXPECT_EQ(MessageOf(Keeping(monthly, Interval{.days = 7})), message);
  EXPECT_EQ(MessageOf(Keeping(monthly, Interval{})), message);
  EXPECT_EQ(MessageOf(Keeping({StepUnit::kDays, 1}, Interval{.microseconds = 23 * kHour})),
            message);
  EXPECT_EQ(MessageOf(Keeping({StepUnit::kDays, 1}, std::int64_t{1})), "");
  EXPECT_EQ(MessageOf(Keeping({StepUnit::kDays, 1}, std::int64_t{0})), message);
  EXPECT_EQ(MessageOf(Keeping({StepUnit::kNumbers, 1000}, std::int64_t{10})), "");
  EXPECT_EQ(CheckPolicy(Keeping(monthly, Interval{.days = 7}))->detail,
            "The retention is 7 days, the interval 1 month.");
}

TEST(Policy, RefusesAgesThatAreNone) {
  Step daily{StepUnit::kDays, 1};
  EXPECT_EQ(MessageOf(Keeping(daily, Interval{.months = 2, .days = -1})),
            "retention must not be negative");
  EXPECT_EQ(MessageOf(Keeping(daily, std::int64_t{-1})),
            "retention must be between 0 and 100000 intervals");
  EXPECT_EQ(MessageOf(Keeping({StepUnit::kNumbers, 10}, Interval{.days = 1})),
            "retention of a key of type bigint must be a number");
}

TEST(Policy, NeedsToKnowWhereExpiredPartitionsMove) {
  PartitionPolicy policy = Keeping({StepUnit::kDays, 1}, Interval{.days = 7});
  Rules(policy).retention->on_expiry = OnExpiry::kMove;
  EXPECT_EQ(MessageOf(policy), "expired partitions are to move, but not where");
  Rules(policy).retention->schema = "old";
  EXPECT_EQ(MessageOf(policy), "");
}

TEST(Policy, HasNumbersInTheirBounds) {
  PartitionPolicy policy = RangePolicy();
  for (std::int64_t premake : {-1, 1001}) {
    Rules(policy).premake = premake;
    EXPECT_EQ(MessageOf(policy), "premake must be between 0 and 1000");
  }
  policy = RangePolicy();
  Rules(policy).start_at = Civil(10000);
  EXPECT_EQ(MessageOf(policy), "start of a partition policy is out of range");
  for (std::uint32_t modulus : {0U, 4097U})
    EXPECT_EQ(MessageOf({.key = {"v"}, .rules = HashRules{.modulus = modulus}}),
              "modulus must be between 1 and 4096");
  EXPECT_EQ(MessageOf({.key = {"v"}, .rules = ListRules{.most_values = 0}}),
            "number of list partitions must be at least 1");
}

TEST(Policy, HasAValueInOneSetOnly) {
  EXPECT_EQ(MessageOf({.key = {"v"}, .rules = ListRules{.sets = {{{"a", "b"}}, {{"c"}}}}}), "");
  EXPECT_EQ(MessageOf({.key = {"v"}, .rules = ListRules{.sets = {{{"a"}}, {{"b", "a"}}}}}),
            "a value must not be in two sets of a partition policy");
  EXPECT_EQ(MessageOf({.key = {"v"}, .rules = ListRules{.sets = {{}}}}),
            "a set of values of a partition policy is empty");
}

TEST(Policy, HasTablespacesByAscendingAge) {
  auto with = [](std::vector<TablespaceRule> rules) {
    PartitionPolicy policy = RangePolicy();
    policy.tablespaces = std::move(rules);
    return MessageOf(policy);
  };
  const std::string message = "ages of tablespaces must be in ascending order";
  Age zero = Interval{};
  EXPECT_EQ(with({{zero, "fast"}, {Interval{.days = 31}, "a"}, {Interval{.months = 6}, "bulk"}}),
            "");
  EXPECT_EQ(with({{zero, "a"}, {std::int64_t{0}, "b"}}), message);
  EXPECT_EQ(with({{Interval{.months = 6}, "a"}, {Interval{.days = 31}, "b"}}), message);
  EXPECT_EQ(with({{Interval{.months = 1}, "a"}, {std::int64_t{5}, "b"}}), message);
  EXPECT_EQ(with({{zero, "a"}, {std::int64_t{5}, "b"}, {std::int64_t{9}, "c"}}), "");
  EXPECT_EQ(with({{Interval{.days = -1}, "a"}}), "age of a tablespace must not be negative");
  PartitionPolicy hash{.key = {"v"}, .rules = HashRules{.modulus = 8}};
  hash.tablespaces = {{zero, "fast"}};
  EXPECT_EQ(MessageOf(hash), "");
  hash.tablespaces = {{Interval{.days = 1}, "fast"}};
  EXPECT_EQ(MessageOf(hash), "only range partitions have an age");
}

TEST(Policy, ChecksItsTemplateAndWhatIsBelow) {
  PartitionPolicy policy = RangePolicy();
  policy.name_template = "all alike";
  EXPECT_EQ(MessageOf(policy), "invalid name template of a partition policy");
  PartitionPolicy upper{.key = {"v"}, .rules = HashRules{.modulus = 2}};
  upper.below = std::make_shared<PartitionPolicy>(policy);
  EXPECT_EQ(MessageOf(upper), "invalid name template of a partition policy");
}

TEST(Policy, LetsNoDrainedRowGoWithoutAPartition) {
  PartitionPolicy below = RangePolicy();
  below.default_partition = false;
  PartitionPolicy upper{.key = {"v"}, .rules = ListRules{}};
  upper.below = std::make_shared<PartitionPolicy>(below);
  EXPECT_EQ(MessageOf(upper), "a policy below one with a default partition needs one itself");
  upper.default_partition = false;
  EXPECT_EQ(MessageOf(upper), "");
  upper.default_partition = true;
  upper.below = std::make_shared<PartitionPolicy>(
      PartitionPolicy{.key = {"w"}, .rules = HashRules{.modulus = 2}});
  EXPECT_EQ(MessageOf(upper), "");
  // Nothing is drained under hash.
  PartitionPolicy hash{.key = {"v"}, .rules = HashRules{.modulus = 2}};
  hash.below = std::make_shared<PartitionPolicy>(below);
  EXPECT_EQ(MessageOf(hash), "");
}

}  // namespace
}  // namespace teamscale::core

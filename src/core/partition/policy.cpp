#include "teamscale/core/partition/policy.h"

#include <set>

#include "teamscale/core/partition/civil_time.h"

namespace teamscale::core {

namespace {

constexpr std::int64_t kMostPremake = 1000;
constexpr std::int64_t kMostRangesKept = 100000;
constexpr std::uint32_t kMostModulus = 4096;

// A length in microseconds, with months of so many days.
__extension__ using Length = __int128;
Length LengthOf(const Interval& interval, int days_of_month) {
  Length days = Length{interval.months} * days_of_month + interval.days;
  return days * kDay + interval.microseconds;
}

Interval IntervalOf(const Step& step) {
  switch (step.unit) {
    case StepUnit::kMonths:
      return {.months = step.count};
    case StepUnit::kDays:
      return {.days = step.count};
    case StepUnit::kMicroseconds:
    case StepUnit::kNumbers:
      break;
  }
  return {.microseconds = step.count};
}

std::string AgeText(const Age& age) {
  if (const auto* interval = std::get_if<Interval>(&age)) return IntervalText(*interval);
  return std::to_string(std::get<std::int64_t>(age));
}

std::optional<Problem> CheckAge(const KeyAxis& axis, const Age& age, const std::string& what) {
  if (const auto* count = std::get_if<std::int64_t>(&age)) {
    if (*count >= 0 && *count <= kMostRangesKept) return std::nullopt;
    return Problem{.message = what + " must be between 0 and " + std::to_string(kMostRangesKept) +
                              " intervals",
                   .detail = "It is " + AgeText(age) + "."};
  }
  const auto& interval = std::get<Interval>(age);
  if (interval.months < 0 || interval.days < 0 || interval.microseconds < 0)
    return Problem{.message = what + " must not be negative",
                   .detail = "It is " + AgeText(age) + "."};
  if (!axis.IsTime() && interval != Interval{})
    return Problem{.message = what + " of a key of type " + axis.Name() + " must be a number",
                   .detail = "It is " + AgeText(age) + ".",
                   .hint = "Give the number of intervals to keep."};
  return std::nullopt;
}

std::optional<Problem> CheckRetention(const RangeRules& rules) {
  const Retention& retention = *rules.retention;
  const KeyAxis& axis = rules.calendar.axis();
  if (auto problem = CheckAge(axis, retention.age, "retention")) return problem;
  const Step& step = rules.calendar.segments().back().step;
  bool is_shorter;
  if (const auto* interval = std::get_if<Interval>(&retention.age)) {
    // Only what is shorter in every month of the year is surely a mistake.
    is_shorter = LengthOf(*interval, 31) < LengthOf(IntervalOf(step), 28);
  } else {
    is_shorter = std::get<std::int64_t>(retention.age) < 1;
  }
  if (is_shorter)
    return Problem{.message = "retention must not be shorter than the partition interval",
                   .detail = "The retention is " + AgeText(retention.age) + ", the interval " +
                             StepText(step) + ".",
                   .hint = "Keep at least one interval, or choose a shorter interval."};
  if (retention.on_expiry == OnExpiry::kMove && retention.schema.empty())
    return Problem{.message = "expired partitions are to move, but not where",
                   .hint = "Name the schema by \"move_to\"."};
  return std::nullopt;
}

std::optional<Problem> CheckRange(const RangeRules& rules) {
  const KeyAxis& axis = rules.calendar.axis();
  if (rules.premake < 0 || rules.premake > kMostPremake)
    return Problem{.message = "premake must be between 0 and " + std::to_string(kMostPremake),
                   .detail = "It is " + std::to_string(rules.premake) + "."};
  if (rules.start_at && !axis.Contains(*rules.start_at))
    return Problem{.message = "start of a partition policy is out of range",
                   .detail = "No key of type " + axis.Name() + " has that value."};
  if (rules.retention) return CheckRetention(rules);
  return std::nullopt;
}

std::optional<Problem> CheckList(const ListRules& rules) {
  if (rules.most_values < 1)
    return Problem{.message = "number of list partitions must be at least 1",
                   .detail = "It is " + std::to_string(rules.most_values) + "."};
  std::set<ListValue> values;
  for (const ListBound& set : rules.sets) {
    if (set.values.empty())
      return Problem{.message = "a set of values of a partition policy is empty"};
    for (const ListValue& value : set.values)
      if (!values.insert(value).second)
        return Problem{.message = "a value must not be in two sets of a partition policy",
                       .detail = "The value " + (value ? QuoteLiteral(*value) : "NULL") +
                                 " comes more than once."};
  }
  return std::nullopt;
}

std::optional<Problem> CheckHash(const HashRules& rules) {
  if (rules.modulus >= 1 && rules.modulus <= kMostModulus) return std::nullopt;
  return Problem{.message = "modulus must be between 1 and " + std::to_string(kMostModulus),
                 .detail = "It is " + std::to_string(rules.modulus) + "."};
}

std::optional<Problem> CheckRules(const PartitionPolicy& policy) {
  switch (policy.kind()) {
    case PolicyKind::kRange:
      return CheckRange(std::get<RangeRules>(policy.rules));
    case PolicyKind::kList:
      return CheckList(std::get<ListRules>(policy.rules));
    case PolicyKind::kHash:
      break;
  }
  return CheckHash(std::get<HashRules>(policy.rules));
}

// Whether the second age is the greater one, by the order that PostgreSQL has for intervals.
bool IsYounger(const Age& left, const Age& right) {
  if (IsZero(left) || IsZero(right)) return IsZero(left) && !IsZero(right);
  if (left.index() != right.index()) return false;
  if (const auto* count = std::get_if<std::int64_t>(&left))
    return *count < std::get<std::int64_t>(right);
  return LengthOf(std::get<Interval>(left), 30) < LengthOf(std::get<Interval>(right), 30);
}

std::optional<Problem> CheckTablespaces(const PartitionPolicy& policy) {
  const Age* previous = nullptr;
  for (const TablespaceRule& rule : policy.tablespaces) {
    if (const auto* rules = std::get_if<RangeRules>(&policy.rules)) {
      if (auto problem = CheckAge(rules->calendar.axis(), rule.age, "age of a tablespace"))
        return problem;
    } else if (!IsZero(rule.age)) {
      return Problem{.message = "only range partitions have an age",
                     .detail = "Tablespace " + QuoteIdentifier(rule.tablespace) +
                               " is for the age of " + AgeText(rule.age) + ".",
                     .hint = "Name one tablespace, for the age of 0 days."};
    }
    if (previous != nullptr && !IsYounger(*previous, rule.age))
      return Problem{
          .message = "ages of tablespaces must be in ascending order",
          .detail = "The age " + AgeText(rule.age) + " comes after " + AgeText(*previous) + "."};
    previous = &rule.age;
  }
  return std::nullopt;
}

std::optional<Problem> CheckBelow(const PartitionPolicy& policy) {
  bool is_drained = policy.kind() != PolicyKind::kHash && policy.default_partition;
  bool takes_every_row =
      policy.below->kind() == PolicyKind::kHash || policy.below->default_partition;
  if (is_drained && !takes_every_row)
    return Problem{.message = "a policy below one with a default partition needs one itself",
                   .detail =
                       "Rows that are drained from the default partition above might find no "
                       "partition below.",
                   .hint = "Let both have a default partition, or the upper one none."};
  return CheckPolicy(*policy.below);
}

}  // namespace

bool IsZero(const Age& age) { return age == Age{Interval{}} || age == Age{std::int64_t{0}}; }

std::optional<Problem> CheckPolicy(const PartitionPolicy& policy) {
  if (auto problem = CheckNameTemplate(policy.name_template, policy.kind())) return problem;
  if (auto problem = CheckRules(policy)) return problem;
  if (auto problem = CheckTablespaces(policy)) return problem;
  if (policy.below) return CheckBelow(policy);
  return std::nullopt;
}

}  // namespace teamscale::core

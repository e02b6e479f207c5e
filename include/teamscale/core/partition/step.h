// How wide the ranges of a policy are: so many months, days, microseconds of elapsed time, or
// numbers. Never a mixture: months and days have no common measure.
//
// An *interval* is what PostgreSQL's type of that name holds, three parts that are added one after
// the other. A step is made of one that has one part only; ages (of retention) may have all three.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "teamscale/core/partition/problem.h"

namespace teamscale::core {

class KeyAxis;

struct Interval {
  std::int64_t months = 0;
  std::int64_t days = 0;
  std::int64_t microseconds = 0;

  bool operator==(const Interval&) const = default;
};

enum class StepUnit { kMonths, kDays, kMicroseconds, kNumbers };

struct Step {
  StepUnit unit = StepUnit::kMonths;
  std::int64_t count = 1;

  bool operator==(const Step&) const = default;
};

// The step that an interval or a number is on an axis, or why it cannot be one: it is zero,
// negative or mixed, finer than the axis, or not of the axis' kind.
std::variant<Step, Problem> StepOfInterval(const KeyAxis& axis, const Interval& interval);
std::variant<Step, Problem> StepOfNumber(const KeyAxis& axis, std::int64_t number);

// "1 month", "7 days", "01:30:00", "1000000".
std::string StepText(const Step& step);
// As PostgreSQL prints it: "1 year 2 mons -3 days 04:05:06.7".
std::string IntervalText(const Interval& interval);

}  // namespace teamscale::core

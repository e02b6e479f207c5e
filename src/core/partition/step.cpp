#include "teamscale/core/partition/step.h"

#include <cstdlib>

#include "teamscale/core/partition/civil_time.h"
#include "teamscale/core/partition/key_axis.h"

namespace teamscale::core {

namespace {

// No range is wider than all the years there are.
constexpr std::int64_t kMonthsOfAllYears = 9999 * 12;
constexpr std::int64_t kDaysOfAllYears = 3652059;

std::string Counted(std::int64_t count, const char* unit) {
  return std::to_string(count) + " " + unit + (count == 1 ? "" : "s");
}

// Clock time as an interval has it, where the hours go beyond 24.
std::string ClockText(std::int64_t microseconds) {
  std::string text = DateTimeText(std::abs(microseconds % kHour)).substr(13);
  std::string hours = std::to_string(std::abs(microseconds / kHour));
  if (hours.size() < 2) hours.insert(0, "0");
  return hours + text;
}

Problem NotPositive(const std::string& text) {
  return {.message = "partition interval must be greater than zero",
          .detail = "The interval is " + text + ".",
          .hint =
              "Use an interval such as '1 month', '1 day' or '1 hour', or a number for a column "
              "of numbers."};
}

Problem TooWide(const KeyAxis& axis, const std::string& text) {
  return {.message = "partition interval is too wide",
          .detail = "The interval is " + text +
                    ", which is more than all values of a key of type " + axis.Name() + "."};
}

std::variant<Step, Problem> CheckWidth(const KeyAxis& axis, const Step& step) {
  std::int64_t limit = 0;
  switch (step.unit) {
    case StepUnit::kMonths:
      limit = kMonthsOfAllYears;
      break;
    case StepUnit::kDays:
      limit = kDaysOfAllYears;
      break;
    case StepUnit::kMicroseconds:
      limit = kDaysOfAllYears * kDay;
      break;
    case StepUnit::kNumbers:
      limit = axis.HighestBound();
      break;
  }
  if (step.count > limit) return TooWide(axis, StepText(step));
  return step;
}

}  // namespace

std::variant<Step, Problem> StepOfInterval(const KeyAxis& axis, const Interval& interval) {
  std::string text = IntervalText(interval);
  if (!axis.IsTime())
    return Problem{
        .message = "partition interval of a key of type " + axis.Name() + " must be a number",
        .detail = "The interval is " + text + ".",
        .hint =
            "Use a number such as '1000000', or say by \"epoch\" that the numbers are seconds or "
            "milliseconds since 1970."};
  int parts = (interval.months != 0) + (interval.days != 0) + (interval.microseconds != 0);
  if (parts > 1)
    return Problem{
        .message = "partition interval must be in months, in days or in time alone",
        .detail = "The interval is " + text + ": months, days and hours have no common measure.",
        .hint = "Use an interval such as '1 month', '30 days' or '12 hours'."};
  if (interval.months < 0 || interval.days < 0 || interval.microseconds < 0 || parts == 0)
    return NotPositive(text);
  if (interval.months > 0)
    return CheckWidth(axis, {.unit = StepUnit::kMonths, .count = interval.months});
  if (interval.days > 0) return CheckWidth(axis, {.unit = StepUnit::kDays, .count = interval.days});
  if (interval.microseconds % axis.Resolution() != 0)
    return Problem{.message = "partition interval is finer than its key",
                   .detail = "The interval is " + text + "; the bounds of a key of type " +
                             axis.Name() + " are multiples of " +
                             (axis.Resolution() == kDay ? "1 day" : ClockText(axis.Resolution())) +
                             ".",
                   .hint = axis.Resolution() == kDay ? "Use an interval of months or days." : ""};
  return CheckWidth(axis, {.unit = StepUnit::kMicroseconds, .count = interval.microseconds});
}

std::variant<Step, Problem> StepOfNumber(const KeyAxis& axis, std::int64_t number) {
  if (axis.IsTime())
    return Problem{
        .message = "partition interval of a key of type " + axis.Name() + " must be an interval",
        .detail = "The interval is " + std::to_string(number) + ".",
        .hint = "Use an interval such as '1 month', '1 day' or '1 hour'."};
  if (number <= 0) return NotPositive(std::to_string(number));
  return CheckWidth(axis, {.unit = StepUnit::kNumbers, .count = number});
}

std::string StepText(const Step& step) {
  switch (step.unit) {
    case StepUnit::kMonths:
      return step.count % 12 == 0 ? Counted(step.count / 12, "year") : Counted(step.count, "month");
    case StepUnit::kDays:
      return Counted(step.count, "day");
    case StepUnit::kMicroseconds:
      return ClockText(step.count);
    case StepUnit::kNumbers:
      break;
  }
  return std::to_string(step.count);
}

std::string IntervalText(const Interval& interval) {
  std::string text;
  bool after_negative = false;
  auto add = [&](std::int64_t count, const char* unit) {
    if (count == 0) return;
    if (!text.empty()) text += " ";
    if (after_negative && count > 0) text += "+";
    text += Counted(count, unit);
    after_negative = count < 0;
  };
  add(interval.months / 12, "year");
  add(interval.months % 12, "mon");
  add(interval.days, "day");
  if (interval.microseconds == 0 && !text.empty()) return text;
  if (!text.empty()) text += " ";
  if (interval.microseconds < 0) text += "-";
  if (interval.microseconds > 0 && after_negative) text += "+";
  return text + ClockText(interval.microseconds);
}

}  // namespace teamscale::core

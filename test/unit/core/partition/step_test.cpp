#include "teamscale/core/partition/step.h"

#include <gtest/gtest.h>

#include "civil.h"
#include "teamscale/core/partition/key_axis.h"

namespace teamscale::core {
namespace {

const KeyAxis kDates(KeyFormat::kDate);
const KeyAxis kTimes(KeyFormat::kTimestampTz);
const KeyAxis kNumbers(KeyFormat::kNumber, IntegerWidth::kInteger);

std::string MessageOf(const std::variant<Step, Problem>& step) {
  return std::holds_alternative<Problem>(step) ? std::get<Problem>(step).message : "";
}

TEST(Step, IsMadeOfOnePartOfAnInterval) {
  EXPECT_EQ(std::get<Step>(StepOfInterval(kTimes, {.months = 3})), (Step{StepUnit::kMonths, 3}));
  EXPECT_EQ(std::get<Step>(StepOfInterval(kDates, {.days = 7})), (Step{StepUnit::kDays, 7}));
  EXPECT_EQ(std::get<Step>(StepOfInterval(kTimes, {.microseconds = kHour})),
            (Step{StepUnit::kMicroseconds, kHour}));
  EXPECT_EQ(std::get<Step>(StepOfInterval(kDates, {.microseconds = 2 * kDay})),
            (Step{StepUnit::kMicroseconds, 2 * kDay}));
  EXPECT_EQ(std::get<Step>(StepOfNumber(kNumbers, 1000000)), (Step{StepUnit::kNumbers, 1000000}));
}

TEST(Step, IsNeitherZeroNorNegative) {
  const std::string message = "partition interval must be greater than zero";
  EXPECT_EQ(MessageOf(StepOfInterval(kTimes, {})), message);
  EXPECT_EQ(MessageOf(StepOfInterval(kTimes, {.months = -1})), message);
  EXPECT_EQ(MessageOf(StepOfInterval(kTimes, {.days = -1})), message);
  EXPECT_EQ(MessageOf(StepOfInterval(kTimes, {.microseconds = -1})), message);
  EXPECT_EQ(MessageOf(StepOfNumber(kNumbers, 0)), message);
  EXPECT_EQ(MessageOf(StepOfNumber(kNumbers, -5)), message);
  EXPECT_EQ(std::get<Problem>(StepOfInterval(kTimes, {.days = -1})).detail,
            "The interval is -1 days.");
}

TEST(Step, IsNoMixture) {
  const std::string message = "partition interval must be in months, in days or in time alone";
  EXPECT_EQ(MessageOf(StepOfInterval(kTimes, {.months = 1, .days = 1})), message);
  EXPECT_EQ(MessageOf(StepOfInterval(kTimes, {.days = 1, .microseconds = kHour})), message);
  EXPECT_EQ(MessageOf(StepOfInterval(kTimes, {.months = 1, .days = -1})), message);
}

TEST(Step, IsNotFinerThanItsKey) {
  const std::string message = "partition interval is finer than its key";
  EXPECT_EQ(MessageOf(StepOfInterval(kDates, {.microseconds = 36 * kHour})), message);
  EXPECT_EQ(MessageOf(StepOfInterval(KeyAxis(KeyFormat::kEpochSeconds), {.microseconds = 1500000})),
            message);
  EXPECT_EQ(MessageOf(StepOfInterval(KeyAxis(KeyFormat::kUuidV7), {.microseconds = 1})), message);
  EXPECT_EQ(std::get<Problem>(StepOfInterval(kDates, {.microseconds = 30 * kMinute})).detail,
            "The interval is 00:30:00; the bounds of a key of type date are multiples of 1 day.");
}

TEST(Step, IsOfItsKeysKind) {
  EXPECT_EQ(MessageOf(StepOfNumber(kDates, 5)),
            "partition interval of a key of type date must be an interval");
  EXPECT_EQ(MessageOf(StepOfInterval(kNumbers, {.days = 5})),
            "partition interval of a key of type integer must be a number");
}

TEST(Step, IsNotWiderThanAllKeys) {
  const std::string message = "partition interval is too wide";
  EXPECT_EQ(MessageOf(StepOfInterval(kTimes, {.months = 2147483647})), message);
  EXPECT_EQ(MessageOf(StepOfInterval(kTimes, {.days = 2147483647})), message);
  EXPECT_EQ(MessageOf(StepOfInterval(kTimes, {.microseconds = INT64_MAX})), message);
  EXPECT_EQ(MessageOf(StepOfNumber(kNumbers, 2147483648)), message);
  EXPECT_EQ(MessageOf(StepOfInterval(kTimes, {.months = 9999 * 12})), "");
}

TEST(Step, IsWrittenForPeople) {
  EXPECT_EQ(StepText({StepUnit::kMonths, 1}), "1 month");
  EXPECT_EQ(StepText({StepUnit::kMonths, 24}), "2 years");
  EXPECT_EQ(StepText({StepUnit::kDays, 7}), "7 days");
  EXPECT_EQ(StepText({StepUnit::kMicroseconds, 90 * kMinute}), "01:30:00");
  EXPECT_EQ(StepText({StepUnit::kNumbers, 1000}), "1000");
}

TEST(Interval, IsWrittenAsPostgresDoes) {
  EXPECT_EQ(IntervalText({}), "00:00:00");
  EXPECT_EQ(IntervalText({.months = 14}), "1 year 2 mons");
  EXPECT_EQ(IntervalText({.months = -1, .days = 3}), "-1 mons +3 days");
  EXPECT_EQ(IntervalText({.days = -3, .microseconds = 4 * kHour + 100000}), "-3 days +04:00:00.1");
  EXPECT_EQ(IntervalText({.microseconds = -100 * kHour}), "-100:00:00");
}

}  // namespace
}  // namespace teamscale::core

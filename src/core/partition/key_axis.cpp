#include "teamscale/core/partition/key_axis.h"

#include <algorithm>
#include <limits>

#include "teamscale/core/partition/civil_time.h"
#include "teamscale/core/partition/time_ordered_id.h"

namespace teamscale::core {

namespace {

constexpr Point kLeast = std::numeric_limits<Point>::min();
constexpr Point kGreatest = std::numeric_limits<Point>::max();

// 0001-01-01 and 10000-01-01.
constexpr Point kFirstYear = -719162 * kDay;
constexpr Point kAfterLastYear = 2932897 * kDay;

std::int64_t LeastOf(IntegerWidth width) {
  switch (width) {
    case IntegerWidth::kSmallint:
      return std::numeric_limits<std::int16_t>::min();
    case IntegerWidth::kInteger:
      return std::numeric_limits<std::int32_t>::min();
    case IntegerWidth::kBigint:
      break;
  }
  return std::numeric_limits<std::int64_t>::min();
}

std::int64_t GreatestOf(IntegerWidth width) { return -(LeastOf(width) + 1); }

const char* TypeName(IntegerWidth width) {
  switch (width) {
    case IntegerWidth::kSmallint:
      return "smallint";
    case IntegerWidth::kInteger:
      return "integer";
    case IntegerWidth::kBigint:
      break;
  }
  return "bigint";
}

}  // namespace

KeyAxis::KeyAxis(KeyFormat format, IntegerWidth width)
    : format_(format), width_(width), lowest_(kFirstYear), highest_(kAfterLastYear) {
  switch (format) {
    case KeyFormat::kNumber:
    case KeyFormat::kEpochSeconds:
    case KeyFormat::kEpochMilliseconds: {
      Point least = PointOfInteger(LeastOf(width));
      Point greatest = PointOfInteger(GreatestOf(width));
      open_below_ = format == KeyFormat::kNumber || least > lowest_;
      open_above_ = format == KeyFormat::kNumber || greatest < highest_;
      if (open_below_) lowest_ = least;
      if (open_above_) highest_ = greatest;
      break;
    }
    case KeyFormat::kUuidV7:
    case KeyFormat::kUlid:
      lowest_ = 0;
      break;
    case KeyFormat::kDate:
    case KeyFormat::kTimestamp:
    case KeyFormat::kTimestampTz:
      break;
  }
}

Point KeyAxis::Resolution() const {
  switch (format_) {
    case KeyFormat::kDate:
      return kDay;
    case KeyFormat::kEpochSeconds:
      return kSecond;
    case KeyFormat::kEpochMilliseconds:
    case KeyFormat::kUuidV7:
    case KeyFormat::kUlid:
      return kMillisecond;
    case KeyFormat::kTimestamp:
    case KeyFormat::kTimestampTz:
    case KeyFormat::kNumber:
      break;
  }
  return 1;
}

bool KeyAxis::Contains(Point point) const {
  if (point < lowest_) return false;
  // The greatest value of the type is a key like any other, with all that is of its second.
  if (open_above_) return point <= highest_ || point - highest_ < Resolution();
  return point < highest_;
}

Range KeyAxis::Cut(const Range& range) const {
  Range cut = range;
  if (!cut.lower || *cut.lower < lowest_) {
    cut.lower = lowest_;
    if (open_below_) cut.lower.reset();
  }
  if (!cut.upper || *cut.upper > highest_) {
    cut.upper = highest_;
    if (open_above_) cut.upper.reset();
  }
  return cut;
}

std::string KeyAxis::Literal(Point bound) const {
  switch (format_) {
    case KeyFormat::kDate:
      return DateText(bound);
    case KeyFormat::kTimestamp:
      return DateTimeText(bound);
    case KeyFormat::kTimestampTz:
      return DateTimeText(bound) + "+00";
    case KeyFormat::kEpochSeconds:
    case KeyFormat::kEpochMilliseconds:
      return std::to_string(FloorDivide(bound, Resolution()));
    case KeyFormat::kUuidV7:
      return FirstUuidOf(bound);
    case KeyFormat::kUlid:
      return FirstUlidOf(bound);
    case KeyFormat::kNumber:
      break;
  }
  return std::to_string(bound);
}

std::string KeyAxis::Text(const Range& range) const {
  return "from " + (range.lower ? "'" + Literal(*range.lower) + "'" : "MINVALUE") + " to " +
         (range.upper ? "'" + Literal(*range.upper) + "'" : "MAXVALUE");
}

Point KeyAxis::PointOfInteger(std::int64_t value) const {
  Point point;
  if (format_ == KeyFormat::kNumber) return value;
  if (__builtin_mul_overflow(value, Resolution(), &point)) return value < 0 ? kLeast : kGreatest;
  return point;
}

std::string KeyAxis::Name() const {
  switch (format_) {
    case KeyFormat::kDate:
      return "date";
    case KeyFormat::kTimestamp:
      return "timestamp without time zone";
    case KeyFormat::kTimestampTz:
      return "timestamp with time zone";
    case KeyFormat::kEpochSeconds:
      return std::string(TypeName(width_)) + " with epoch seconds";
    case KeyFormat::kEpochMilliseconds:
      return std::string(TypeName(width_)) + " with epoch milliseconds";
    case KeyFormat::kUuidV7:
      return "uuid of version 7";
    case KeyFormat::kUlid:
      return "ULID";
    case KeyFormat::kNumber:
      break;
  }
  return TypeName(width_);
}

}  // namespace teamscale::core

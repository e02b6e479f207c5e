// What the keys of a range policy are: the column's type, what its numbers mean, how a bound is
// written, and which points it can hold.
//
// Bounds are texts that mean the same whatever TimeZone and DateStyle say. Times are of the years 1
// to 9999; those beyond, and infinity, belong to no range of the calendar. The values of a smaller
// integer type end within a range: such a range has no bound there.
//
//   date             '2024-01-31'                     civil days
//   timestamp        '2024-01-31 09:30:00'            civil microseconds
//   timestamptz      '2024-01-31 09:30:00+00'         microseconds
//   numbers          '1000000'
//   epoch            '1706693400'                     seconds or milliseconds in an integer column
//   UUIDv7, ULID     the first id of a millisecond    see time_ordered_id.h
#pragma once

#include <cstdint>
#include <string>

#include "teamscale/core/partition/range.h"

namespace teamscale::core {

enum class KeyFormat {
  kDate,
  kTimestamp,
  kTimestampTz,
  kNumber,
  kEpochSeconds,
  kEpochMilliseconds,
  kUuidV7,
  kUlid
};

enum class IntegerWidth { kSmallint, kInteger, kBigint };

class KeyAxis {
 public:
  // The width matters where the column is of an integer type.
  explicit KeyAxis(KeyFormat format, IntegerWidth width = IntegerWidth::kBigint);

  KeyFormat format() const { return format_; }
  // Points are times, as opposed to plain numbers; civil times, as opposed to instants.
  bool IsTime() const { return format_ != KeyFormat::kNumber; }
  bool IsCivil() const { return format_ == KeyFormat::kDate || format_ == KeyFormat::kTimestamp; }
  // What every bound is a multiple of.
  Point Resolution() const;

  // The least and the greatest bound that can be written.
  Point LowestBound() const { return lowest_; }
  Point HighestBound() const { return highest_; }
  // Whether a key of this point may be in a range.
  bool Contains(Point point) const;
  // The range without what no bound can reach.
  Range Cut(const Range& range) const;

  // A bound as FOR VALUES has it, not quoted; the point is a bound that can be written.
  std::string Literal(Point bound) const;
  // The same, or MINVALUE or MAXVALUE; for people.
  std::string Text(const Range& range) const;

  // The point of a value of an integer column; values out of all ranges have points out of them
  // too.
  Point PointOfInteger(std::int64_t value) const;

  // "timestamp with time zone", "bigint with epoch seconds".
  std::string Name() const;

 private:
  KeyFormat format_;
  IntegerWidth width_;
  Point lowest_;
  Point highest_;
  // The column's type ends there, so that a range that would go on has no bound.
  bool open_below_ = false;
  bool open_above_ = false;
};

}  // namespace teamscale::core

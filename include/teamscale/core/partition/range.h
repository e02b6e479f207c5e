// Where keys lie on their axis, and which of them a partition holds.
//
// A *point* is a key's place as one integer: of a time, the microseconds since 1970-01-01 00:00, in
// UTC when the key is an instant (timestamp with time zone, epoch numbers, UUIDv7, ULID) and by the
// calendar on the wall when it has no zone (date, timestamp); of a plain integer, the number
// itself.
//
// A *range* holds the points from its lower bound up to, but without, its upper bound, as FOR
// VALUES FROM (lower) TO (upper) does. A side without a bound is MINVALUE or MAXVALUE.
//
//        lower                upper
//          |#####################|
//          holds lower           does not hold upper
#pragma once

#include <cstdint>
#include <optional>

namespace teamscale::core {

using Point = std::int64_t;

struct Range {
  std::optional<Point> lower = {};
  std::optional<Point> upper = {};

  bool operator==(const Range&) const = default;

  bool Contains(Point point) const {
    return (!lower || *lower <= point) && (!upper || point < *upper);
  }
  bool IsEmpty() const { return lower && upper && *lower >= *upper; }
  bool Overlaps(const Range& other) const { return !Intersect(other).IsEmpty(); }

  // What both hold; may be empty.
  Range Intersect(const Range& other) const {
    Range both = *this;
    if (other.lower && (!lower || *lower < *other.lower)) both.lower = other.lower;
    if (other.upper && (!upper || *other.upper < *upper)) both.upper = other.upper;
    return both;
  }
};

}  // namespace teamscale::core

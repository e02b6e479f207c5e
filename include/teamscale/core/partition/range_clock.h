// What the clock says of a range policy's table: which ranges are to be there, from when rows are
// kept, how old a leaf is. Of keys that are numbers the newest key is the clock.
//
// The *window* is the range of now and those made ahead. With a clock that is not believed there
// are two: what cannot be undone goes by the last run's, but rows that come by the clock as it is
// find their partitions.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "teamscale/core/partition/partition_state.h"
#include "teamscale/core/partition/policy.h"

namespace teamscale::core {

struct RangeClock {
  // Where the clock stands on the axis, and where the clock stands that is believed.
  Point now = 0;
  Point trusted = 0;
  // Not where keys are numbers and there is no row yet: nothing is old then.
  bool has_time = true;
  // Nothing when the axis does not reach so far.
  std::optional<Range> window = {};
  std::optional<Range> trusted_window = {};
  // Rows before are expired; nothing when all are kept.
  std::optional<Point> kept_from = {};
  // Why the clock is not believed; empty when it is.
  std::string guard = {};
};

RangeClock ReadRangeClock(const RangeRules& rules, const PartitionedTable& table,
                          const std::optional<Point>& last_run, Point now);

// The point before which everything is of that age; nothing when nothing is.
std::optional<Point> PointOfAge(const PartitionCalendar& calendar, Point now, const Age& age);

}  // namespace teamscale::core

// The ranges into which a policy divides its axis: for every key the one range that it belongs to,
// the same whatever the session's settings.
//
// A *segment* is a stretch of the axis with one step; an interval that is changed from a date on
// opens another. Ranges lie on a grid of the step and are cut where a segment ends:
//
//   | Jan | Feb | Mar |.Apr.|w|  w  |  w  |  w  |  w  ...
//                     first ^ segment ends, the second begins at 2024-04-24: a Wednesday
//
// The grid does not depend on when the policy was made:
//   months          from January of year 0, so that quarters and years are the calendar's, and
//                   decades those of date_trunc(): 2020 to 2029
//   days            from Monday 2000-01-03 when whole weeks, else from 2000-01-01
//   microseconds    of elapsed time from 2000-01-01 00:00 in the zone, as date_bin() counts
//   numbers         multiples, from 0
// Months and days begin at midnight in the policy's zone (zone_rules.h), whatever the hours
// between. Bounds that are one instant, where a zone left out a day, are one bound: ranges are
// never empty.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "teamscale/core/partition/key_axis.h"
#include "teamscale/core/partition/problem.h"
#include "teamscale/core/partition/range.h"
#include "teamscale/core/partition/step.h"
#include "teamscale/core/partition/zone_rules.h"

namespace teamscale::core {

struct Segment {
  std::optional<Point> from = {};  // only the first has none
  Step step = {};
};

// What is wrong with segments: no order, a start that no bound can be. Steps are made right.
std::optional<Problem> CheckSegments(const KeyAxis& axis, const std::vector<Segment>& segments);

class PartitionCalendar {
 public:
  // Throws std::invalid_argument where CheckSegments() has something to say.
  PartitionCalendar(const KeyAxis& axis, std::shared_ptr<const ZoneRules> zone,
                    std::vector<Segment> segments);

  const KeyAxis& axis() const { return axis_; }
  const std::vector<Segment>& segments() const { return segments_; }

  // The range of a key; nothing when the axis does not hold it.
  std::optional<Range> RangeOf(Point point) const;
  // The ranges after and before; nothing at the ends of the axis.
  std::optional<Range> Next(const Range& range) const;
  std::optional<Range> Previous(const Range& range) const;
  // The step of the segment in which the point lies.
  const Step& StepAt(Point point) const;
  // Whether the range, which is not the calendar's, would be one if some step of the policy were
  // that of the whole axis: what was made before the interval was changed.
  bool IsOfSomeStep(const Range& range) const;

  // A clock's instant on the axis, and back. Of axes of time only.
  Point PointOfInstant(Point instant) const;
  Point InstantOfPoint(Point point) const;
  // What a calendar on the wall of the policy's zone shows at a point.
  Point CivilTimeOf(Point point) const;

  // The point so much earlier: months, then days, by the calendar in the zone (the last of February
  // for what would be its 30th), then elapsed time. Nothing when that is before all keys. Of axes
  // of time only.
  std::optional<Point> Before(Point point, const Interval& interval) const;
  // The lower bound of the range so many ranges before the point's.
  std::optional<Point> RangesBefore(Point point, std::int64_t count) const;

 private:
  std::size_t SegmentAt(Point point) const;
  Range OnGrid(const Step& step, Point point) const;
  Range OnCivilGrid(const Step& step, Point point) const;
  Point PointOfCivil(Point civil) const;

  KeyAxis axis_;
  std::shared_ptr<const ZoneRules> zone_;
  std::vector<Segment> segments_;
};

}  // namespace teamscale::core

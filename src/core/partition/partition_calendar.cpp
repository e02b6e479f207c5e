#include "teamscale/core/partition/partition_calendar.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "teamscale/core/partition/civil_time.h"

namespace teamscale::core {

namespace {

constexpr std::int64_t kDaysOfWeek = 7;
constexpr std::int64_t kYear2000 = 10957;            // 2000-01-01, in days
constexpr std::int64_t kMonday2000 = kYear2000 + 2;  // 2000-01-03

// More than from the first year to the last.
constexpr std::int64_t kAllMonths = 10000 * 12;
constexpr std::int64_t kAllDays = 10000 * 366;

// The place of a civil time on the grid of a step of months or days, and back.
std::int64_t IndexOf(const Step& step, Point civil) {
  if (step.unit == StepUnit::kMonths) return FloorDivide(MonthOf(civil), step.count);
  std::int64_t origin = step.count % kDaysOfWeek == 0 ? kMonday2000 : kYear2000;
  return FloorDivide(FloorDivide(civil, kDay) - origin, step.count);
}

Point CivilOf(const Step& step, std::int64_t index) {
  if (step.unit == StepUnit::kMonths) return StartOfMonth(index * step.count);
  std::int64_t origin = step.count % kDaysOfWeek == 0 ? kMonday2000 : kYear2000;
  return (origin + index * step.count) * kDay;
}

// Multiples of width from the origin; a side that is beyond all points has no bound.
Range OnEvenGrid(Point origin, std::int64_t width, Point point) {
  std::int64_t after = FloorModulo(FloorModulo(point, width) - FloorModulo(origin, width), width);
  Range range{.lower = 0, .upper = 0};
  if (__builtin_sub_overflow(point, after, &*range.lower)) range.lower.reset();
  if (__builtin_add_overflow(point, width - after, &*range.upper)) range.upper.reset();
  return range;
}

}  // namespace

std::optional<Problem> CheckSegments(const KeyAxis& axis, const std::vector<Segment>& segments) {
  if (segments.empty() || segments.front().from)
    return Problem{.message = "the first interval of a partition policy has no start"};
  for (std::size_t i = 1; i < segments.size(); i++) {
    const std::optional<Point>& from = segments[i].from;
    if (!from) return Problem{.message = "a change of interval needs a start"};
    std::string text = axis.Literal(*from);
    if (*from <= axis.LowestBound() || *from >= axis.HighestBound())
      return Problem{.message = "change of interval is out of range",
                     .detail = "The interval changes at " + text +
                               ", which is not within the values "
                               "of a key of type " +
                               axis.Name() + "."};
    if (FloorModulo(*from, axis.Resolution()) != 0)
      return Problem{.message = "change of interval is finer than its key",
                     .detail = "No bound of a key of type " + axis.Name() + " is at that time."};
    if (segments[i - 1].from && *segments[i - 1].from >= *from)
      return Problem{.message = "changes of interval must be in ascending order",
                     .detail = "The interval changes at " + axis.Literal(*segments[i - 1].from) +
                               ", then at " + text + "."};
  }
  return std::nullopt;
}

PartitionCalendar::PartitionCalendar(const KeyAxis& axis, std::shared_ptr<const ZoneRules> zone,
                                     std::vector<Segment> segments)
    : axis_(axis), zone_(std::move(zone)), segments_(std::move(segments)) {
  if (std::optional<Problem> problem = CheckSegments(axis_, segments_))
    throw std::invalid_argument(problem->message);
}

std::size_t PartitionCalendar::SegmentAt(Point point) const {
  auto after = std::find_if(segments_.begin() + 1, segments_.end(),
                            [&](const Segment& segment) { return *segment.from > point; });
  return static_cast<std::size_t>(after - segments_.begin()) - 1;
}

const Step& PartitionCalendar::StepAt(Point point) const {
  return segments_[SegmentAt(point)].step;
}

bool PartitionCalendar::IsOfSomeStep(const Range& range) const {
  if (!range.lower || !axis_.Contains(*range.lower)) return false;
  return std::any_of(segments_.begin(), segments_.end(), [&](const Segment& segment) {
    return axis_.Cut(OnGrid(segment.step, *range.lower)) == range;
  });
}

std::optional<Range> PartitionCalendar::RangeOf(Point point) const {
  if (!axis_.Contains(point)) return std::nullopt;
  std::size_t segment = SegmentAt(point);
  Range stretch{.lower = segments_[segment].from};
  if (segment + 1 < segments_.size()) stretch.upper = segments_[segment + 1].from;
  return axis_.Cut(OnGrid(segments_[segment].step, point).Intersect(stretch));
}

std::optional<Range> PartitionCalendar::Next(const Range& range) const {
  if (!range.upper) return std::nullopt;
  return RangeOf(*range.upper);
}

std::optional<Range> PartitionCalendar::Previous(const Range& range) const {
  // The lowest bound itself may be the least of all integers.
  if (!range.lower || *range.lower <= axis_.LowestBound()) return std::nullopt;
  return RangeOf(*range.lower - 1);
}

Range PartitionCalendar::OnGrid(const Step& step, Point point) const {
  switch (step.unit) {
    case StepUnit::kNumbers:
      return OnEvenGrid(0, step.count, point);
    case StepUnit::kMicroseconds:
      return OnEvenGrid(PointOfCivil(kYear2000 * kDay), step.count, point);
    case StepUnit::kMonths:
    case StepUnit::kDays:
      break;
  }
  return OnCivilGrid(step, point);
}

// The civil time at a point tells where on the grid it is, but for what a change of clocks shifts:
// a bound in an overlap is its second time, and the first one comes before it.
Range PartitionCalendar::OnCivilGrid(const Step& step, Point point) const {
  auto bound = [&](std::int64_t index) { return PointOfCivil(CivilOf(step, index)); };
  std::int64_t index = IndexOf(step, CivilTimeOf(point));
  Point lower = bound(index);
  while (lower > point) lower = bound(--index);
  Point upper = bound(++index);
  while (upper <= point) {
    lower = upper;
    upper = bound(++index);
  }
  return {.lower = lower, .upper = upper};
}

Point PartitionCalendar::PointOfInstant(Point instant) const {
  return axis_.IsCivil() ? zone_->InstantToLocal(instant) : instant;
}

Point PartitionCalendar::InstantOfPoint(Point point) const {
  return axis_.IsCivil() ? zone_->LocalToInstant(point) : point;
}

Point PartitionCalendar::CivilTimeOf(Point point) const {
  return axis_.IsCivil() ? point : zone_->InstantToLocal(point);
}

Point PartitionCalendar::PointOfCivil(Point civil) const {
  return axis_.IsCivil() ? civil : zone_->LocalToInstant(civil);
}

std::optional<Point> PartitionCalendar::Before(Point point, const Interval& interval) const {
  // Beyond this no sum overflows and nothing is left.
  if (interval.months > kAllMonths || interval.days > kAllDays ||
      interval.microseconds > kAllDays * kDay)
    return std::nullopt;
  if (interval.months < 0 || interval.days < 0 || interval.microseconds < 0) return std::nullopt;
  Point earlier = point;
  if (interval.months != 0)
    earlier = PointOfCivil(AddMonths(CivilTimeOf(earlier), -interval.months));
  if (interval.days != 0) earlier = PointOfCivil(CivilTimeOf(earlier) - interval.days * kDay);
  earlier -= interval.microseconds;
  if (earlier < axis_.LowestBound()) return std::nullopt;
  return earlier;
}

std::optional<Point> PartitionCalendar::RangesBefore(Point point, std::int64_t count) const {
  std::optional<Range> range = RangeOf(point);
  for (; range && count > 0; count--) range = Previous(*range);
  if (!range) return std::nullopt;
  return range->lower;
}

}  // namespace teamscale::core

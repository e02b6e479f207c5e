#include "teamscale/core/partition/range_clock.h"

#include <algorithm>

#include "teamscale/core/partition/civil_time.h"

namespace teamscale::core {

namespace {

// A clock that is behind by less is another machine's.
constexpr Point kClockTolerance = kMinute;
// How far the clock may be ahead of the last run: maintenance was off for so long at most. Of
// numbers so many ranges.
constexpr Point kClockLeap = 31 * kDay;
constexpr std::int64_t kRangesLeap = 31;

// The range of a point and so many after it.
std::optional<Range> WindowAt(const PartitionCalendar& calendar, Point point, std::int64_t ahead) {
  std::optional<Range> range = calendar.RangeOf(point);
  if (!range) return std::nullopt;
  Range window = *range;
  for (std::int64_t i = 0; i < ahead; i++) {
    range = calendar.Next(*range);
    if (!range) break;
    window.upper = range->upper;
  }
  return window;
}

// Whether a point is not before the end of a window; one without an end or without a window has
// none.
bool IsBeyond(Point point, const std::optional<Range>& window) {
  return window && window->upper && point >= *window->upper;
}

// Where a table of numbers stands that has no rows yet.
Point FirstNumber(const RangeRules& rules, const PartitionedTable& table) {
  if (rules.start_at) return *rules.start_at;
  std::optional<Point> first;
  for (const Leaf& leaf : table.leaves) {
    const auto* bound = std::get_if<RangeBound>(&leaf.bound);
    if (bound != nullptr && bound->range.lower && (!first || *bound->range.lower < *first))
      first = bound->range.lower;
  }
  const KeyAxis& axis = rules.calendar.axis();
  return std::clamp(first.value_or(0), axis.LowestBound(), axis.HighestBound());
}

std::string InstantText(Point instant) { return DateTimeText(instant) + "+00"; }

void ReadTime(const RangeRules& rules, const std::optional<Point>& last_run, Point now,
              RangeClock& clock) {
  const PartitionCalendar& calendar = rules.calendar;
  clock.now = clock.trusted = calendar.PointOfInstant(now);
  if (!last_run) return;
  Point last = calendar.PointOfInstant(*last_run);
  if (now < *last_run) {
    clock.trusted = clock.now = last;
    if (*last_run - now > kClockTolerance) clock.guard = "behind";
  } else if (now - *last_run > kClockLeap &&
             IsBeyond(clock.now, WindowAt(calendar, last, rules.premake))) {
    clock.trusted = last;
    clock.guard = "far ahead of";
  }
  if (clock.guard.empty()) return;
  clock.guard = "The clock (" + InstantText(now) + ") is " + clock.guard +
                " that of the last run (" + InstantText(*last_run) +
                "): until it is accepted, partitions expire and move as of the last run.";
}

// The greatest key of all, that of rows to be drained too: once they are, they have partitions.
std::optional<Point> NewestOfAll(const RangeRules& rules, const PartitionedTable& table) {
  std::optional<Point> newest = table.newest;
  for (const RowsInDefault& rows : table.rows_in_default)
    if (rules.calendar.axis().Contains(rows.last))
      newest = std::max(rows.last, newest.value_or(rows.last));
  return newest;
}

// Keys go on from the greatest there ever was, though its row may be gone.
void ReadNumber(const RangeRules& rules, const PartitionedTable& table, RangeClock& clock) {
  std::optional<Point> newest = NewestOfAll(rules, table);
  // Before the first run what has partitions already is believed.
  std::optional<Point> last = table.newest_at_last_run ? table.newest_at_last_run : table.newest;
  clock.has_time = newest || last;
  clock.now = clock.trusted = newest ? *newest : last.value_or(FirstNumber(rules, table));
  if (!newest || !last) return;
  std::int64_t leap = std::max(rules.premake, kRangesLeap);
  std::string where;
  if (*newest < *last) {
    clock.now = clock.trusted = *last;
    if (IsBeyond(*last, WindowAt(rules.calendar, *newest, leap))) where = "behind";
  } else if (IsBeyond(*newest, WindowAt(rules.calendar, *last, leap))) {
    clock.trusted = *last;
    where = "ahead of";
  }
  if (where.empty()) return;
  clock.guard = "The newest key (" + rules.calendar.axis().Literal(*newest) + ") is far " + where +
                " the one that was the newest before (" + rules.calendar.axis().Literal(*last) +
                "): until it is accepted, partitions expire and move by the one before.";
}

}  // namespace

std::optional<Point> PointOfAge(const PartitionCalendar& calendar, Point now, const Age& age) {
  if (const auto* interval = std::get_if<Interval>(&age)) {
    if (!calendar.axis().IsTime()) return std::nullopt;
    return calendar.Before(now, *interval);
  }
  return calendar.RangesBefore(now, std::get<std::int64_t>(age));
}

RangeClock ReadRangeClock(const RangeRules& rules, const PartitionedTable& table,
                          const std::optional<Point>& last_run, Point now) {
  RangeClock clock;
  bool is_time = rules.calendar.axis().IsTime();
  if (is_time) {
    ReadTime(rules, last_run, now, clock);
  } else {
    ReadNumber(rules, table, clock);
  }
  clock.window = WindowAt(rules.calendar, clock.now, rules.premake);
  clock.trusted_window = WindowAt(rules.calendar, clock.trusted, rules.premake);
  if (rules.retention && clock.has_time)
    clock.kept_from = PointOfAge(rules.calendar, clock.trusted, rules.retention->age);
  return clock;
}

}  // namespace teamscale::core

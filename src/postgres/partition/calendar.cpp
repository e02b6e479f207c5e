#include "teamscale/postgres/partition/calendar.h"

#include "teamscale/core/partition/civil_time.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/partition/server_zone.h"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/rangetypes.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
}

namespace teamscale {

namespace {

constexpr core::Point kPointOf2000 = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * core::kDay;

core::PartitionCalendar CalendarOf(const Interval& every, const char* zone) {
  core::KeyAxis axis(core::KeyFormat::kTimestampTz);
  auto step = core::StepOfInterval(axis, CoreInterval(every));
  if (auto* problem = std::get_if<core::Problem>(&step)) throw InvalidParameter(*problem);
  return {axis, RequireZone(zone), {{.from = {}, .step = std::get<core::Step>(step)}}};
}

struct Bounds {
  core::Point lower;
  core::Point upper;
};

// Guarded.
Bounds BoundsAt(const Interval& every, TimestampTz at, const char* zone) {
  core::PartitionCalendar calendar = CalendarOf(every, zone);
  std::optional<core::Range> range;
  if (!TIMESTAMP_NOT_FINITE(at)) range = calendar.RangeOf(PointOfInstant(at));
  if (!range || !range->lower || !range->upper)
    throw Error(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE, "no partition holds that time",
                "Partitions are of the years 1 to 9999.");
  return {*range->lower, *range->upper};
}

}  // namespace

core::Interval CoreInterval(const Interval& interval) {
  return {.months = interval.month, .days = interval.day, .microseconds = interval.time};
}

core::Point PointOfInstant(TimestampTz instant) { return instant + kPointOf2000; }

TimestampTz InstantOfPoint(core::Point point) { return point - kPointOf2000; }

std::shared_ptr<const core::ZoneRules> RequireZone(const std::string& name) {
  const char* text = name.c_str();
  pg_tz* zone = CallPostgres([text] { return FindServerZone(text); });
  if (!zone)
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "time zone \"" + name + "\" does not exist", "",
                "The view pg_timezone_names lists the zones, such as Europe/Berlin.");
  return std::make_shared<ServerZone>(zone);
}

Error InvalidParameter(core::Problem problem) {
  return {ERRCODE_INVALID_PARAMETER_VALUE, std::move(problem.message), std::move(problem.detail),
          std::move(problem.hint)};
}

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_partition_range) {
  using namespace teamscale;
  Interval every = *PG_GETARG_INTERVAL_P(0);
  TimestampTz at = PG_GETARG_TIMESTAMPTZ(1);
  const char* zone = text_to_cstring(PG_GETARG_TEXT_PP(2));
  Bounds bounds = EnterFromPostgres([&] { return BoundsAt(every, at, zone); });
  RangeBound lower{TimestampTzGetDatum(InstantOfPoint(bounds.lower)), false, true, true};
  RangeBound upper{TimestampTzGetDatum(InstantOfPoint(bounds.upper)), false, false, false};
  TypeCacheEntry* type = lookup_type_cache(TSTZRANGEOID, TYPECACHE_RANGE_INFO);
  PG_RETURN_RANGE_P(make_range(type, &lower, &upper, false));
}

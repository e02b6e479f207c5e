// Calendars of the server's zones and types.
#pragma once

#include <memory>

#include "teamscale/core/partition/partition_calendar.h"
#include "teamscale/core/partition/problem.h"
#include "teamscale/postgres/boundary/guard.h"

extern "C" {
#include "datatype/timestamp.h"
}

namespace teamscale {

core::Interval CoreInterval(const Interval& interval);

// Instants of the server, which count from 2000, as points. Both finite.
core::Point PointOfInstant(TimestampTz instant);
TimestampTz InstantOfPoint(core::Point point);

// Guarded dialect; throws 22023 for a name that is no zone's.
std::shared_ptr<const core::ZoneRules> RequireZone(const std::string& name);

// The error that says what is wrong with what a user asked for: 22023.
Error InvalidParameter(core::Problem problem);

}  // namespace teamscale

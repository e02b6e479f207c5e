// The time by which partitions are made and expire.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "datatype/timestamp.h"
}

namespace teamscale {

// In the test build defines teamscale.partition_clock, by which tests let the time jump. Called
// once by _PG_init.
void InitMaintenanceClock();

// Plain dialect.
TimestampTz MaintenanceClock();

}  // namespace teamscale

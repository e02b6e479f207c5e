#include "teamscale/postgres/partition/maintenance_clock.h"

extern "C" {
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
}

namespace teamscale {

#ifdef TEAMSCALE_WAIT_POINTS

namespace {

char* clock_setting = nullptr;

}  // namespace

void InitMaintenanceClock() {
  DefineCustomStringVariable(
      "teamscale.partition_clock", "The time by which partitions are made and expire, for tests.",
      "Empty: the server's clock.", &clock_setting, "", PGC_SUSET, 0, nullptr, nullptr, nullptr);
}

TimestampTz MaintenanceClock() {
  if (!clock_setting || !*clock_setting) return GetCurrentTimestamp();
  return DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in, CStringGetDatum(clock_setting),
                                                 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

#else

void InitMaintenanceClock() {}

TimestampTz MaintenanceClock() { return GetCurrentTimestamp(); }

#endif

}  // namespace teamscale

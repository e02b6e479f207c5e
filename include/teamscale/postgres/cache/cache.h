// The cache: functions that answer from shared memory what a query on their table would give.
#pragma once

namespace teamscale {

// Settings, shared memory, hooks. Called once by _PG_init.
void InitCache();

}  // namespace teamscale

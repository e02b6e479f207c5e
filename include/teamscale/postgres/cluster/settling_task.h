// Settling as a task of the maintenance worker.
#pragma once

namespace teamscale {

// Registers the task; defines teamscale.settle_interval. Called once by _PG_init.
void InitSettlingTask();

// Wakes this database's worker for a round of settling now. Never raises; callable while a
// transaction ends.
void RequestSettling();

}  // namespace teamscale

// Maintenance of partitions without a client: a task of the maintenance worker, which starts a
// session for each owner of tables with a policy.
#pragma once

namespace teamscale {

// Registers the task; defines teamscale.partition_interval and teamscale.partition_workers. Called
// once by _PG_init.
void InitMaintenanceSchedule();

}  // namespace teamscale

// The background workers. One *launcher* per server keeps one *maintenance worker* in each database
// that has the extension. The worker runs *tasks*, again and again: what must be done without a
// client. A capability registers its own.
//
// Postmaster → launcher (no database) → one worker per database; a slot in shared memory for each
// database says who works there, and whether it has to be left alone for a moment.
#pragma once

#include <cstdint>

#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

// One round of a task ends soon: the others wait for it.
struct MaintenanceTask {
  const char* activity;    // what pg_stat_activity shows meanwhile
  const int* interval_ms;  // between two rounds; a setting
  // Plain dialect, outside a transaction. An error ends the round: it is logged, and the next one
  // comes in time.
  void (*run)();
};

// Registered in the same order in every process, by the modules' inits.
using MaintenanceTaskId = std::uint32_t;
MaintenanceTaskId RegisterMaintenanceTask(const MaintenanceTask& task);

// Registers the launcher and requests the shared memory when the server is starting. Called once by
// _PG_init.
void InitMaintenance();

// Makes this database's worker run a task now. Never raises; callable while a transaction ends.
void RequestMaintenance(MaintenanceTaskId task);

}  // namespace teamscale

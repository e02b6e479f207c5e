// Maintenance of partitions: plans carried out, each action a short transaction of its own, in a
// session of the tables' owner.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "datatype/timestamp.h"
#include "postmaster/bgworker.h"
}

namespace teamscale {

// Registers the owner job. Called once by _PG_init.
void InitMaintenanceJob();

// Maintains a table in a session of its owner, until the time given at the latest, and waits for
// it. An action that fails is a WARNING, and recorded; the others go on. Plain dialect; see
// RunOwnerJob().
void MaintainTable(Oid table, TimestampTz until);

// Starts a session of an owner that maintains all tables with a policy that are the owner's; null
// when no background worker is free.
BackgroundWorkerHandle* StartMaintenanceOf(Oid owner);

}  // namespace teamscale

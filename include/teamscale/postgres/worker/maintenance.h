// The background workers. One *launcher* per server keeps one *maintenance worker* in each database
// that has the extension. The worker settles in-doubt transactions, again and again, and is the
// place for whatever else must be done without a client.
//
// Postmaster → launcher (no database) → one worker per database; a slot in shared memory for each
// database says who works there, and whether it has to be left alone for a moment.
#pragma once

#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

// Registers the launcher and requests the shared memory when the server is starting; defines
// teamscale.settle_interval. Called once by _PG_init.
void InitMaintenance();

// Wakes this database's worker for a round of settling now. Never raises; callable while a
// transaction ends.
void RequestSettling();

}  // namespace teamscale

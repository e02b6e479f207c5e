// How far a distribute_table() or undistribute_table() has come, for the view
// teamscale.stat_progress_distribute. It is one transaction, so nothing that it writes shows before
// its end: each backend has an entry in shared memory.
//
// PostgreSQL's own progress entries (pg_stat_progress_...) would not do: a backend has one, which
// every CREATE INDEX within the transaction takes over and clears.
#pragma once

#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

// Asks for the shared memory. Called once by _PG_init.
void InitDistributionProgress();

// Brackets the work on a table of this database; command is a literal. End also in PG_FINALLY.
// Plain dialect.
void BeginDistributionProgress(const char* command, Oid table);
void EndDistributionProgress();

// A row has been moved, if this is the phase in which rows are; otherwise does nothing. Plain
// dialect.
void CountMovedRow();

}  // namespace teamscale

// The source of a split INSERT that reads sharded tables: planned on its own by the planner hook,
// and scanned by the INSERT's plan as if it were one relation. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
}

namespace teamscale {

// Whether a query, an expression or a list of them names a sharded table anywhere within.
bool ReadsShardedTables(void* tree);

// When the INSERT's source reads sharded tables: takes it out of the query, which has a placeholder
// for it then, and gives it with the WITH clauses that it needs; else null.
Query* TakeShardedSource(Query* insert);

// Puts the source's plan in the place of the placeholder's scan. What the source depends on becomes
// what the plan depends on: its locks, privileges and invalidations.
void PutSource(PlannedStmt* plan, PlannedStmt* source);

}  // namespace teamscale

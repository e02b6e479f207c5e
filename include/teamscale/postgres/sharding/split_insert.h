// INSERTs into a sharded table whose rows belong to several nodes, or to one that is known only
// when the rows are: multi-row VALUES, SELECT, volatile keys. Plain dialect.
//
// The statement is planned as PostgreSQL plans it for this node. Below its ModifyTable node goes
// the custom node "Teamscale Insert": the source's rows pass through it, defaults and casts
// included; those that this node owns go on to ModifyTable, the others to their owners. So what
// happens to this node's rows (triggers, constraints, ON CONFLICT, RETURNING, row security) is
// PostgreSQL's own.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "nodes/params.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
}

namespace teamscale {

// Registers the custom nodes. Called once by _PG_init.
void InitSplitInsert();

// Plans a top-level INSERT into a sharded table, after rewriting. The source may read sharded
// tables itself: it is planned by the planner hook then. Raises 0A000 with a HINT for what cannot
// be split.
PlannedStmt* PlanSplitInsert(Query* query, const char* query_string, int cursor_options,
                             ParamListInfo parameters);

// Whether the plan came from PlanSplitInsert.
bool IsSplitInsert(const PlannedStmt* plan);

}  // namespace teamscale

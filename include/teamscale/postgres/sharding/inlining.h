// SQL functions that PostgreSQL would inline into a query. Plain dialect.
#pragma once

#include "teamscale/core/sharding/shard_map.h"
#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "nodes/parsenodes.h"
}

namespace teamscale {

// Replaces calls of set-returning SQL functions in FROM whose bodies name a sharded table by these
// bodies, where PostgreSQL's planner would do so itself: it would do so too late for the statement
// to be routed by them. (A scalar function that reads a table is never inlined.) Changes the query,
// and gives what its plan depends on then (PlannedStmt.invalItems): a replaced function makes it
// anew.
List* InlineShardedFunctions(Query* query, const core::ShardMap* map);

}  // namespace teamscale

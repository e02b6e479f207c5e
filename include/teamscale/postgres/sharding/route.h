// Statements that one node answers: planned as a marker that is resolved when execution starts.
// Plain dialect.
//
// The plan of a routed statement is one custom node, "Teamscale Route", which holds the pins of the
// statement's keys, its travelling form, and PostgreSQL's own plan of it for this node. When
// execution starts the pins are evaluated: if this node owns the rows, its own plan takes the
// marker's place and nothing of ours runs; otherwise the custom node sends the statement to the
// owner.
#pragma once

#include "teamscale/core/sharding/shard_map.h"
#include "teamscale/postgres/boundary/server.h"
#include "teamscale/postgres/sharding/sharded_query.h"

extern "C" {
#include "executor/execdesc.h"
#include "nodes/params.h"
#include "nodes/plannodes.h"
}

namespace teamscale {

// Registers the custom node. Called once by _PG_init.
void InitRoute();

// The planner that makes this node's own plans: the next planner hook, or PostgreSQL's.
using LocalPlanner = PlannedStmt* (*)(Query*, const char*, int, ParamListInfo);

// Plans a statement whose pins are known.
PlannedStmt* PlanRoute(Query* query, const ShardedQuery* sharded, LocalPlanner plan_locally,
                       const char* query_string, int cursor_options, ParamListInfo parameters);

// Whether an INSERT's pins are known now, by constants and the parameters given, and belong to one
// node.
bool HasOneOwnerNow(const ShardedQuery* sharded, ParamListInfo parameters);

// Whether the plan is a marker that PlanRoute made.
bool IsRoute(const PlannedStmt* plan);

// The plan by which to execute a marker with these parameters: this node's own, or the marker
// itself when another node owns the rows. Raises 0A000 when the pins do not all resolve to one
// node.
PlannedStmt* ResolveRoute(PlannedStmt* plan, ParamListInfo parameters);

// A plan of this node for a statement on sharded tables that is right as it is is marked, so that
// the executor can tell it from one that was made in another scope.
void MarkSanctioned(PlannedStmt* plan);
bool IsSanctioned(const PlannedStmt* plan);

}  // namespace teamscale

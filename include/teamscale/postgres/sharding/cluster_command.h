// A utility command that acts on all nodes: this node runs it through PostgreSQL, the others get
// its text. Plain dialect.
#pragma once

#include "teamscale/core/sharding/shard_map.h"
#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "nodes/pg_list.h"
#include "nodes/primnodes.h"
}

namespace teamscale {

// The schema-qualified, quoted name of a relation, as every node knows it.
char* QualifiedName(Oid relation);

// Those of the relations that a list of RangeVars names that are sharded tables, as OIDs; names of
// missing relations are left out. Takes no locks.
List* ShardedTablesNamed(List* range_vars);

// Raises 55000 when a node that holds buckets of one of the tables is disabled: it would keep what
// the others drop.
void RequireOwnersActive(List* relations);

// On all active nodes but this one, at once, within the transaction. parameter: $1 of the statement
// in text form, or null when it has none.
void ExecuteOnOtherNodes(const char* sql, const char* parameter = nullptr);

// A command that only locks, on one node that is not this one, within the transaction.
void LockOnNode(core::NodeId node, const char* sql);

// On all active nodes but this one, one after the other, outside the transaction. An error says
// which nodes, this one among them, are done.
void ExecuteOnEachOtherNode(const char* sql);

}  // namespace teamscale

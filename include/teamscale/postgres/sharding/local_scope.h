// What a statement in local scope may do that sees one node's rows on purpose: the client's own
// under teamscale.scope = local, or what run_on_node() is given. Not what a router sends, which is
// known to be whole. Plain dialect.
//
// It is for looking. Whoever is no superuser may not write what was seen under teamscale.scope =
// local; and what sharded tables hide from a user (by a view of another owner, by a row security
// policy) would be judged by a part of the rows, so that is refused. Nobody may fill a materialized
// view: it would keep a part of the rows and give it for the answer to its query.
#pragma once

#include "teamscale/core/sharding/shard_map.h"
#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "executor/execdesc.h"
#include "nodes/parsenodes.h"
}

namespace teamscale {

// Before the query is planned; raises 0A000.
void CheckLocalQuery(Query* query, const core::ShardMap* map);

// Before its plan is executed (not merely explained); raises 0A000 or 42501.
void CheckLocalExecution(const QueryDesc* query, const core::ShardMap* map);

// The utility hook's brackets around each command. Leave takes what Enter gave; an error that ends
// the transaction leaves by itself.
bool EnterMaterializedView(const Node* command);
void LeaveMaterializedView(bool previous);

// Called once by _PG_init.
void InitLocalScope();

}  // namespace teamscale

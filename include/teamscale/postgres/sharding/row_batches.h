// Rows of one sharded table on their way to the other nodes that own them, as INSERT statements
// that take the rows as arrays, one for each column. For what COPY cannot do: ON CONFLICT,
// RETURNING, row security. Plain dialect.
#pragma once

#include "teamscale/core/sharding/shard_map.h"
#include "teamscale/postgres/boundary/server.h"
#include "teamscale/postgres/sharding/returned_rows.h"
#include "teamscale/postgres/sharding/split_insert_nodes.h"

extern "C" {
#include "nodes/execnodes.h"
}

namespace teamscale {

// Lives in the memory context that is current when it is made.
struct RowBatches;

// Evaluates the statement's own parameters. returned is null without RETURNING.
RowBatches* MakeRowBatches(const SplitInsertPlan* insert, PlanState* plan_state,
                           ReturnedRows* returned);

// Keeps one row, whose values are by attribute number - 1; sends the node's batch when it is full.
void AddRowToBatch(RowBatches* batches, core::NodeId node, const Datum* values, const bool* nulls);

// Sends what is left, and gives the rows that the other nodes' commands count.
std::uint64_t FinishRowBatches(RowBatches* batches);

}  // namespace teamscale

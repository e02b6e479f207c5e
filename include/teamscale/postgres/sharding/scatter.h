// Rows of one sharded table on their way to the other nodes that own them: one COPY for each, all
// open at once. Memory is bounded: one row here, and what RemoteCopy keeps for each node. Plain
// dialect.
#pragma once

#include "teamscale/core/sharding/shard_map.h"
#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "nodes/pg_list.h"
#include "utils/relcache.h"
}

namespace teamscale {

// Lives in the memory context that is current when it is made; when that is reset, an unfinished
// COPY is left to the abort of the transaction.
struct Scatter;

// For rows of these columns (attribute numbers) of the table.
Scatter* MakeScatter(Relation parent, List* columns);

// Sends one row, whose values are in the order of the columns. line is its place in the input that
// the client knows, or 0 when there is none: an error of the node names it.
void ScatterRow(Scatter* scatter, core::NodeId node, const Datum* values, const bool* nulls,
                std::uint64_t line);

// Ends all COPYs and gives the rows that the nodes took.
std::uint64_t FinishScatter(Scatter* scatter);

}  // namespace teamscale

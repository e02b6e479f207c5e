// What the rows of an INSERT ... RETURNING gave, this node's and the other nodes', and the order of
// the source. Rows are kept in tuplestores, which spill; the order takes four bytes a row. Plain
// dialect.
#pragma once

#include "teamscale/core/sharding/shard_map.h"
#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "access/tupdesc.h"
#include "executor/tuptable.h"
}

namespace teamscale {

// Lives in the memory context that is current when it is made.
struct ReturnedRows;

ReturnedRows* MakeReturnedRows(TupleDesc descriptor);
TupleDesc ReturnedDescriptor(const ReturnedRows* rows);

// A row of the source was proposed to a node.
void NoteProposedRow(ReturnedRows* rows, core::NodeId node);
// A node gave a row.
void AddReturnedRow(ReturnedRows* rows, core::NodeId node, const Datum* values, const bool* nulls);

// When all are there: the next one, or false. In the order of the source if every node gave as many
// rows as were proposed to it; else node by node.
bool NextReturnedRow(ReturnedRows* rows, TupleTableSlot* slot);

}  // namespace teamscale

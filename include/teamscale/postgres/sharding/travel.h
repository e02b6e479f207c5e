// How a statement travels to the node that owns its rows: as the text of its rewritten tree,
// printed from a repaired copy, and as expressions whose values the router computes once. Plain
// dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
}

namespace teamscale {

// A statement fit to run on another node, in the search_path and the settings of this session.
struct TravellingStatement {
  // Deterministic for the same tree and search_path, so that it can be prepared once and found
  // again by its text. Its parameters are numbered from 1, without gaps.
  char* sql;
  // Expr of $1, $2, ...: planned, without Vars and subplans; external Params of the statement,
  // stable expressions and, in INSERT ... VALUES of one row, volatile ones. Each is to be evaluated
  // exactly once, in this order, when execution starts.
  List* parameters;
  // Whether it may take a transaction id there: DML, row locks, functions that may write.
  bool writes;
};

// Whether a relation is the same on every node, so that statements that travel may name it.
using IsEverywhere = bool (*)(Oid relation);

// The sharded tables of the cluster.
bool IsShardedTable(Oid relation);

// From the rewritten query, as planner_hook sees it, which is left as it is. Raises 0A000 with a
// DETAIL and a HINT for what cannot be run elsewhere with the same meaning: a table that exists on
// this node only, a view as the target of a write, session state, WHERE CURRENT OF, a transition
// table, an anonymous record in the result.
//
// Columns of the result whose type has a different binary form on every node (see wire.h) come as
// text: teamscale reads them with RowReader.
TravellingStatement* MakeTravellingStatement(Query* query,
                                             IsEverywhere is_everywhere = IsShardedTable);

}  // namespace teamscale

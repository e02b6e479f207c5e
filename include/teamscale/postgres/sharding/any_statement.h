// SQL that an application hands over as text, to be run on nodes: what it is, and running it here.
// Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "access/tupdesc.h"
#include "nodes/pg_list.h"
#include "utils/tuplestore.h"
}

namespace teamscale {

// How a router has a statement run on another node: its text, and whether it may change sharded
// tables.
inline constexpr char kExecuteHere[] =
    "SELECT result, affected FROM teamscale_internal.execute_here($1, $2)";

struct AnyStatement {
  const char* refuses_block;  // the command that refuses a transaction block, or null
  bool concurrently;          // which waits for all snapshots of the database
  bool defines;               // has a utility command: it may change definitions
};

// Raises for what would change the state of a session or a transaction, and for several commands of
// which one refuses a transaction block.
AnyStatement ExamineStatement(const char* sql);

// Runs it in this database as the current user, local in scope; definitions: it may change sharded
// tables. Rows go to the store as (result jsonb, affected bigint), behind a column for the node
// when its name is given: each row that is returned, or else one row with the count.
void RunStatementHere(const char* sql, bool definitions, const char* node, TupleDesc descriptor,
                      Tuplestorestate* store);

}  // namespace teamscale

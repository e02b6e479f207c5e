// Cursors on another node's rows. A cursor sees the rows as they are when it is opened, whatever
// its own transaction or others do before the first row is fetched. The owner's snapshot is as good
// as that only if the statement is sent at once; so its rows are taken when the portal starts, and
// wait in the node's store. What is executed as soon as it has started needs none of this. Plain
// dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "executor/execdesc.h"
}

namespace teamscale {

// Whether the execution belongs to a portal that is just being started and that other statements
// may go between: a cursor of SQL or of a function, or a portal that a client has bound.
bool StartsPortal(const QueryDesc* query);

// Takes the rows of a routed statement, once its execution has begun. Not yet for the client's
// unnamed portal, by which drivers send every statement: it is executed next, and what watches
// executions by the clock (pg_stat_statements, auto_explain) looks at that.
void ExecuteForStartingPortal(QueryDesc* query);

// Before anything else runs: takes the rows of an unnamed portal that has waited all the same.
void ExecuteForWaitingPortal();

}  // namespace teamscale

// Takes out of a statement what must be computed on the router. Plain dialect.
//
// The session's clock, user and settings are the router's, and a parameter of the client is known
// only there: each becomes a parameter of the statement that travels. So do whole expressions
// around them, as long as evaluating them once, before the statement starts, means the same.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "nodes/parsenodes.h"
}

namespace teamscale {

// Whether an OID below this one names the same object on every node: it was fixed by hand in
// PostgreSQL's sources, not given out by initdb or later.
bool IsSameOnEveryNode(Oid object);

// Replaces in the query, at every level, the parameters of the client and what is hoisted by
// parameters numbered from 1. Gives the expressions of their values, planned, in that order.
List* HoistParameters(Query* query);

}  // namespace teamscale

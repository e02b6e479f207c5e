// What the node "Teamscale Returning" does with the "Teamscale Insert" node below it. Plain
// dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"
#include "teamscale/postgres/sharding/returned_rows.h"

extern "C" {
#include "nodes/execnodes.h"
}

namespace teamscale {

// From now on the node notes each row of its source, and keeps what the other nodes return.
void CollectReturnedRows(PlanState* insert, ReturnedRows* returned);

}  // namespace teamscale

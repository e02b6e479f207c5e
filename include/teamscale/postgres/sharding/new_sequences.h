// Sequences that a change of definitions on all nodes gives to sharded tables: they have to give
// values that are unique in the cluster, as those that distribute_table() finds. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "utils/array.h"
}

namespace teamscale {

// Before the change: the sequences that have no range for each node, and are meant to have none.
ArrayType* SequencesWithoutRange();

// After it: gives all others their ranges, on every active node. Raises 55000 with a HINT for one
// that cannot have them.
void GiveRangesToNewSequences(ArrayType* known);

}  // namespace teamscale

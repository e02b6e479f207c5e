// A node that a change of the cluster has not reached yet. Guarded dialect; works with or without a
// transaction.
#pragma once

#include <cstdint>

#include "teamscale/postgres/cluster/visit.h"

namespace teamscale {

// Waits a moment for this node's epoch to reach the one given: a change is committed on one node
// before another.
bool CatchesUpWith(std::int64_t epoch);

// Whether a transaction of the cluster is prepared here whose router has not said how it ended: the
// missing change may be its.
bool WaitsForDecision(const Self& self);

}  // namespace teamscale

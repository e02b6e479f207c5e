// Leaves belong to whoever owns their sharded table: PostgreSQL gives partitions owners of their
// own. Plain dialect.
#pragma once

#include "teamscale/postgres/sharding/utility_call.h"

namespace teamscale {

// After a command: when it gave a sharded table another owner, its leaves follow.
void PassOwnerToLeaves(const UtilityCall& call);

}  // namespace teamscale

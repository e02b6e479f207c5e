// What a plan depends on: the partitions that tables with a policy have, what is in their default
// partitions, and what earlier runs left to do. Guarded dialect.
#pragma once

#include <vector>

#include "teamscale/core/partition/partition_state.h"
#include "teamscale/postgres/partition/stored_policy.h"

namespace teamscale {

// In the order of the policies. Looks into default partitions, and for the newest number keys, as
// the current user, who owns the tables.
std::vector<core::PartitionState> ReadStates(const std::vector<StoredPolicy>& policies);

}  // namespace teamscale

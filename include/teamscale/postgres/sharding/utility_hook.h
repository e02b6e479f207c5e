// The ProcessUtility hook: which commands on sharded tables act on all nodes, and which are
// refused.
#pragma once

namespace teamscale {

// Sets the hook. Called once by _PG_init.
void InitUtilityHook();

}  // namespace teamscale

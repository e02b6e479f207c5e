// The planner and executor hooks: where every statement passes.
#pragma once

namespace teamscale {

// Sets the hooks. Called once by _PG_init.
void InitExecutor();

}  // namespace teamscale

// The maintenance of event streams.
#pragma once

namespace teamscale {

// Registers the task: slots that belong to no stream are dropped, streams that hold back more of
// the log than they may are stopped. Called once by _PG_init.
void InitStreamTask();

}  // namespace teamscale

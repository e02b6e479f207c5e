// Reading the table under the caller's snapshot. Plain dialect.
#pragma once

#include "teamscale/postgres/cache/answer.h"

namespace teamscale {

// Runs the cache's query as the current user under the active snapshot. The value is allocated in
// the caller's memory context.
Answer ReadTable(Cache* cache, const NullableDatum* values);

}  // namespace teamscale

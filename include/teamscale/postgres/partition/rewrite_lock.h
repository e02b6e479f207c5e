// Who works on a rewrite: one process at a time. A session's lock, so that it ends with the
// process. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

// False when another process has it.
bool TryLockRewrite(int64 id);
void UnlockRewrite(int64 id);

}  // namespace teamscale

// The settings under which values are written as text without loss. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

// Sets ISO dates, PostgreSQL intervals, exact floats and hexadecimal bytea until
// LeaveLosslessSettings is called with what this gave. An error in between leaves them to the abort
// of the transaction.
int EnterLosslessSettings();
void LeaveLosslessSettings(int level);

}  // namespace teamscale

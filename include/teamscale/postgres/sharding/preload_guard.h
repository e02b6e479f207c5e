// The setting by which each session of a node loads teamscale, even when the server has been
// started without it: not to be taken away while a table is sharded. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

// For every utility command, in any database of the server: raises 55006 when it would set
// session_preload_libraries, for a database or a role, so that sessions of a node do without.
void CheckPreloadSetting(const Node* command);

}  // namespace teamscale

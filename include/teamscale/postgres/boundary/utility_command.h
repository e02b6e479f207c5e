// What utility commands are about, for the hooks that watch them.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "nodes/nodes.h"
}

namespace teamscale {

// Whether the command itself has nothing to do with a table: it is about the session or the
// transaction, or runs other statements, which come to the hooks by themselves. Plain dialect.
bool NamesNoTable(const Node* command);

}  // namespace teamscale

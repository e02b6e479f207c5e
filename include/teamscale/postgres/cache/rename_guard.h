// A cache names its columns: to rename one would leave it without. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "nodes/parsenodes.h"
}

namespace teamscale {

// Raises 55000 when the command renames a column that a cache names.
void CheckRename(const RenameStmt* statement);

}  // namespace teamscale

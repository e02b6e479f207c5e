// The triggers that record changes, as a table's members have them or not. Plain dialect.
#pragma once

#include "teamscale/postgres/cache/definition.h"

namespace teamscale {

// The table and all that belong to it. No lock is taken: what changes meanwhile is told by an
// invalidation of the table.
List* MembersOf(Oid table);

// Whether every member of the table is guarded by this function; culprit becomes the name of one
// that is not.
Guard ExamineGuards(Oid table, Oid guard_function, char** culprit);

}  // namespace teamscale

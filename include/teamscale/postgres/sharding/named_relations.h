// The relations that a utility command names, and what it would do to each. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"
#include "teamscale/postgres/sharding/ddl_guard.h"

extern "C" {
#include "nodes/parsenodes.h"
}

namespace teamscale {

using NamedRelation = void (*)(const RangeVar* name, Change change);

// Calls visit for each name in a command that defines, changes, drops or describes something. What
// reads and writes rows, or maintains a table, names nothing here; nor does GRANT for whole
// schemas.
void VisitNamedRelations(Node* command, NamedRelation visit);

// The relation, or an invalid OID when there is none of that name.
Oid FindNamed(const RangeVar* name);

}  // namespace teamscale

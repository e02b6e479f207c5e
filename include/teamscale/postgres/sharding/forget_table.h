// Taking a sharded table out of this node's catalog. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

// Whether the current user may drop the table, as PostgreSQL has it: its owner and its schema's.
bool MayDropTable(Oid relation);

// Within a catalog change (catalog_change.h), for a caller who may drop the table. The colocation
// group and its buckets go with its last table.
void ForgetTable(Oid relation);
// The same on all other active nodes, by the table's name there.
void ForgetTableOnOtherNodes(Oid relation);

}  // namespace teamscale

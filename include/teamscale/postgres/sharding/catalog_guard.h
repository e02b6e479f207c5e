// teamscale's own schemas and catalog tables: by their names it knows that a table is sharded, so
// they stay as they are while one is. And the cluster's secret, which no definition may be hung on:
// a check, an index or a trigger would be shown what no SQL can read. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "catalog/objectaccess.h"
#include "nodes/nodes.h"
#include "nodes/plannodes.h"
}

namespace teamscale {

// For every utility command, before it runs; raises 2BP01 or 42501.
void CheckCatalogCommand(Node* command);

// For what a command reaches without naming it, from the object access hook while a table is
// sharded; raises 2BP01 or 55006.
void CheckCatalogAccess(ObjectAccessType access, Oid catalog, Oid object);

// For every plan that is executed on a node; raises 42501 when a client itself writes rows of the
// cluster's catalog.
void CheckCatalogRows(const PlannedStmt* plan);

}  // namespace teamscale

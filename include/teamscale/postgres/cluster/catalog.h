// Where the cluster's catalog tables are: their OIDs in this database, looked up once.
#pragma once

#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

enum class CatalogTable {
  kCluster,
  kNode,
  kLocalNode,
  kColocationGroup,
  kBucket,
  kPlacement,
  kShardedTable,
  kCommitRecord,
  kNodeSecret,
  kCount,
};

// Registers the invalidation callback. Called once by _PG_init.
void InitCatalog();

// The table's OID, or InvalidOid when this database has no teamscale extension. Raises; callable
// from both dialects within a transaction.
Oid CatalogRelation(CatalogTable table);

// Whether a relcache message about the relation means that the catalog changed.
bool IsCatalogRelation(Oid relation);

}  // namespace teamscale

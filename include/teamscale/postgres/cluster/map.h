// The backend's copy of the cluster's map.
#pragma once

#include "teamscale/core/sharding/shard_map.h"
#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

// Registers the invalidation callbacks. Called once by _PG_init.
void InitShardMap();

// The map as the newest committed catalog (and this transaction's own changes) has it, or null when
// this database is no node of a cluster. The pointer stays valid until the transaction ends; ask
// again after anything that may have accepted invalidations. Callable from both dialects; raises.
const core::ShardMap* CurrentShardMap();

// Makes every backend of this node rebuild its map, and replan what uses the relation when it is
// valid, once the current transaction commits (this backend: at once).
void InvalidateShardMap(Oid relation);

}  // namespace teamscale

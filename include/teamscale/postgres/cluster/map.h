// The backend's copy of the cluster's map.
#pragma once

#include "teamscale/core/sharding/shard_map.h"
#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "utils/snapshot.h"
}

namespace teamscale {

// Registers the invalidation callbacks. Called once by _PG_init.
void InitShardMap();

// The map as the newest committed catalog (and this transaction's own changes) has it, or null when
// this database is no node of a cluster. The pointer stays valid until the transaction ends; ask
// again after anything that may have accepted invalidations. Callable from both dialects; raises.
const core::ShardMap* CurrentShardMap();

// Whether a sharded table of the current map was one already for a snapshot. For an older one its
// rows, which were written into their buckets later, do not exist. Plain dialect.
bool SnapshotHasShardedTable(Snapshot snapshot, Oid relation);

// Grows with every map that this backend builds: whether a map is still the one that was seen.
std::uint64_t ShardMapVersion();

// Makes every backend of this node rebuild its map, and replan what uses the relation when it is
// valid, once the current transaction commits (this backend: at once).
void InvalidateShardMap(Oid relation);

}  // namespace teamscale

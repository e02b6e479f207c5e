// The decisions of transactions over several nodes. Plain dialect.
#pragma once

#include "teamscale/core/sharding/shard_map.h"
#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

// The cluster's id in text form; the result is palloc'd.
const char* ClusterId();

// Writes the decision to commit gid on the node into the current transaction, whoever its user is.
void InsertCommitRecord(const char* gid, core::NodeId node);

}  // namespace teamscale

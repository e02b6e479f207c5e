// The decisions of transactions over several nodes. Plain dialect.
#pragma once

#include <cstddef>

#include "teamscale/core/sharding/shard_map.h"
#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "access/xlogdefs.h"
}

namespace teamscale {

// Writes the decision to commit gid on the node into the current transaction, whoever its user is.
void InsertCommitRecord(const char* gid, core::NodeId node);

// The records as one snapshot sees them, and that snapshot, as pg_current_snapshot() prints it;
// palloc'd.
struct RecordsAtSnapshot {
  const char* snapshot;
  XLogRecPtr position;  // up to where the log was flushed when the snapshot was taken
  int count;
  const char** gids;
  core::NodeId* nodes;
};
RecordsAtSnapshot ReadCommitRecords();

// Deletes the records of these gids, which are sorted by strcmp. Leaves them to the other one when
// somebody is doing the same right now.
void DeleteCommitRecords(const char* const* gids, std::size_t count);

// A gid as an SQL literal; palloc'd.
char* QuoteGid(const char* gid);

}  // namespace teamscale

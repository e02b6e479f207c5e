// Databases outside of the cluster in which this node may have left a prepared transaction: one
// that was just being added, one that was to take a node's place, one that was removed. The catalog
// does not name them when such a change fails half way, so they are noted on the side, and settled
// like nodes until nothing of this node's is left there.
#pragma once

#include <string>
#include <vector>

#include "teamscale/core/sharding/shard_map.h"
#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

struct OutsideDatabase {
  core::NodeId node = 0;  // as which it took part
  std::string conninfo;
  std::string since;  // when it was noted last
};

// Those that are noted now. quiet: no change of the catalog is going on, so none of them is just
// being used. Guarded dialect; in the transaction that is open, or in one of its own.
struct OutsideDatabases {
  std::vector<OutsideDatabase> databases;
  bool quiet = false;
};
OutsideDatabases ReadOutsideDatabases();

// Forgets them, but for those that have been noted again. The same dialect.
void ForgetOutsideDatabases(const std::vector<OutsideDatabase>& databases);

}  // namespace teamscale

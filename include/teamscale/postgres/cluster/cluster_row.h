// The catalog's row of the cluster, as the newest snapshot sees it. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

// palloc'd; empty texts when this database is no node.
struct ClusterRow {
  const char* id = "";
  const char* settling_role = "";
};
ClusterRow ReadClusterRow();

}  // namespace teamscale

// Changing the cluster's catalog: one transaction over all active nodes, all or none.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "teamscale/core/sharding/shard_map.h"
#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

// Begins a catalog change: raises the epoch on every active node, in the order of their ids, which
// locks the cluster's row there until the transaction ends. So catalog changes of the whole cluster
// come one after the other and cannot deadlock. without: nodes that the change leaves out, because
// it is about them; never this one. Gives the new epoch. What was read of the catalog before is
// old: it may have waited. Guarded dialect; throws 55000 when the nodes do not agree on the epoch,
// 40001 when nodes came or went while it waited.
std::int64_t BeginCatalogChange(std::span<const core::NodeId> without = {});

// The ids of all active nodes, in order. Guarded dialect; throws 55000 when this database is no
// node.
std::vector<core::NodeId> ActiveNodes();

// Runs the same SQL on the nodes given, this one included if it is among them: remote ones through
// the transaction's connections, all at once, and this one by SPI. Guarded dialect.
void ExecuteOnAllOf(std::span<const core::NodeId> nodes, const std::string& sql);

}  // namespace teamscale

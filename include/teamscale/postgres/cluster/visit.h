// Looking at the databases of the cluster from outside: one plain connection each, as the settling
// role, that asks what the database is and what it knows of this node. Guarded dialect; no
// transaction is needed, and none should be open: a node may be slow.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "teamscale/core/cluster/standing.h"
#include "teamscale/core/sharding/shard_map.h"
#include "teamscale/postgres/cluster/connection.h"

namespace teamscale {

// This node as its own catalog has it.
struct Self {
  core::NodeReport report;
  std::string role;  // who settles in-doubt transactions
  std::vector<core::Node> nodes;

  const core::Node* own_node() const;
};

// Nothing when this database is no node. In the transaction that is open, or in one of its own.
std::optional<Self> ReadSelf();

struct Visit {
  core::Node node;
  std::unique_ptr<Connection> connection;  // null when the database was not reached
  core::NodeReport report = {};
  std::string failure = {};  // why it was not reached
};

// A database that cannot be reached, or is no node, is a visit without a connection or with an
// empty report. An interrupt is thrown.
Visit VisitDatabase(const core::Node& node, const Self& self);

// Visits this node itself and then, if it met itself, the other nodes: the active ones, or all.
struct Round {
  Visit own;
  std::vector<Visit> others;
};
enum class Visited { kActive, kAll };
Round VisitNodes(const Self& self, Visited which);

core::Judgement Judge(const Self& self, const Round& round);

}  // namespace teamscale

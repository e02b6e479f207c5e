// How a database stands to the cluster that its catalog names: whether it is the node that it takes
// itself for, and whether its catalog is the cluster's of now. Judged from what databases say when
// they are asked, the node itself first, under its own connection string.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "teamscale/core/sharding/shard_map.h"

namespace teamscale::core {

enum class Standing {
  kServing,   // the node, and up to date with all that answered
  kAlone,     // the node; no other node answered
  kLost,      // nobody answers under its own connection string
  kCopy,      // its own connection string leads to another database
  kDisabled,  // the cluster has left it out
  kRemoved,   // the cluster does not know it any more
  kBehind,    // the cluster's epoch is higher
};

// What a database says of itself, and of the node that asks.
struct NodeReport {
  std::string database = {};  // tells it from every other: the server's boot id and the OID
  std::string cluster = {};   // empty when it is no node
  NodeId node = 0;
  std::int64_t epoch = 0;
  std::string state_of_asker = {};  // empty when it knows no such node
  bool left_out = false;            // whether the one that asks has it disabled
};

struct Judgement {
  Standing standing = Standing::kServing;
  std::int64_t epoch = 0;  // the cluster's, as far as was heard
};

// self is what this database says of itself; own is who answers under its own connection string,
// nothing when nobody does; others are the other nodes of its catalog that answered. has_others:
// whether the catalog has other active nodes at all. One that is left out is heard only when it
// knows more.
//
// Who knows more is believed: a node of a higher epoch, and among equals the one with the lower id,
// so that of two parts of a cluster that have disabled each other one goes on.
Judgement Judge(const NodeReport& self, const std::optional<NodeReport>& own,
                const std::vector<NodeReport>& others, bool has_others);

}  // namespace teamscale::core

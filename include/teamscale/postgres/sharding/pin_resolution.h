// From pins to the node that owns them. Plain dialect.
#pragma once

#include "teamscale/core/sharding/shard_map.h"
#include "teamscale/postgres/boundary/server.h"
#include "teamscale/postgres/sharding/sharded_query.h"

extern "C" {
#include "nodes/params.h"
}

namespace teamscale {

// The only node that can have rows of the statement, and one of its buckets; bucket is null when no
// row can match (a null key, a list value that is not placed): then any node's answer is right,
// this one's is taken.
struct Owner {
  core::NodeId node;
  const core::Bucket* bucket;
};

// Whether an INSERT's key is among the pins: one that is not placed is an error. A null one is,
// too, when a row with it is inserted for certain.
enum class InsertedKey { kNone, kOfAnyRows, kOfOneRow };

InsertedKey InsertedKeyOf(const Query* query);

// Evaluates the pins and finds their owner. Raises 0A000 when they belong to several nodes.
Owner ResolvePins(List* pins, ParamListInfo parameters, InsertedKey inserted);

// Whether the pins belong to one node.
bool HaveOneOwner(List* pins, ParamListInfo parameters, InsertedKey inserted);

}  // namespace teamscale

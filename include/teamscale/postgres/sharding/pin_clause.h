// Conditions that can pin a key or pass a pin on: equalities. Plain dialect.
#pragma once

#include "teamscale/core/sharding/pin_graph.h"
#include "teamscale/postgres/boundary/server.h"
#include "teamscale/postgres/sharding/key_router.h"

extern "C" {
#include "nodes/nodes.h"
}

namespace teamscale {

// left = right, or left = ANY (right) when is_array.
struct PinClause {
  Node* left;
  Node* right;
  bool is_array;
  core::Equality equality;
};

// Whether the condition is an equality that hashing agrees with; fills clause then.
bool ReadPinClause(Node* condition, PinClause* clause);

// The notion of equality by which a table's rows are sharded.
core::Equality EqualityOfKey(const KeyRouter* router);

// The expression without casts that keep it equal: varchar to text, integer to bigint.
Node* StripEqualCasts(Node* expression);

}  // namespace teamscale

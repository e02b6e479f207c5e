// The partition policies of tables, read from the catalog. Guarded dialect.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "teamscale/core/partition/policy.h"
#include "teamscale/postgres/boundary/server.h"
#include "teamscale/postgres/partition/key_values.h"

namespace teamscale {

// Defines teamscale.move_in_place_limit. Called once by _PG_init.
void InitStoredPolicies();

// Partitions of no more bytes are moved to another tablespace by SET TABLESPACE.
std::int64_t MoveInPlaceLimit();

struct StoredPolicy {
  Oid table = InvalidOid;
  std::shared_ptr<const core::PartitionPolicy> policy = {};
  // Of the table's key and, where there is a policy below, of the partitions' key; nothing where
  // the rules are none of ranges.
  std::optional<RangeKey> key = {};
  std::optional<RangeKey> key_below = {};
  std::string before_drop = {};  // the function that may refuse, as SQL names it; empty without
  // The number keys that the last run found, by table.
  std::map<Oid, core::Point> newest = {};
};

// Of these tables, in no order; tables without a policy, and those that are gone, are left out.
// Throws 22023 for a policy that cannot be carried out (any more).
std::vector<StoredPolicy> ReadPolicies(const std::vector<Oid>& tables);

}  // namespace teamscale

// Plans for the tables that have a policy. Guarded dialect.
#pragma once

#include <vector>

#include "teamscale/core/partition/plan.h"
#include "teamscale/postgres/partition/stored_policy.h"

namespace teamscale {

struct TablePlan {
  Oid table = InvalidOid;
  core::TableName name = {};
  std::shared_ptr<const core::PartitionPolicy> policy = {};
  std::string before_drop = {};
  core::Plan plan = {};
};

// As of the maintenance clock, for tables that the current user owns. before_drop functions are
// asked: what they refuse is planned as blocked.
std::vector<TablePlan> PlanTables(const std::vector<Oid>& tables);

// The tables with a policy that the current user owns, as itself or as a member of the owner.
std::vector<Oid> OwnTablesWithPolicy();

}  // namespace teamscale

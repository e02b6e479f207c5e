// One action of a plan, carried out: raises what went wrong. Plain dialect.
#pragma once

#include "teamscale/core/partition/plan.h"
#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

// In a session of the table's owner, outside a transaction. table: the one that has the policy;
// retention: its policy's, null without.
void PerformAction(Oid table, const core::Action& action, const core::Retention* retention);

// What a new policy makes at once: within a transaction of the table's owner.
void CreateNow(const core::Action& action);

}  // namespace teamscale

// The actions of a plan that move rows: each is a rewrite, begun or found begun, and carried to its
// end. Guarded, in a session of the table's owner, outside a transaction.
#pragma once

#include "teamscale/core/partition/plan.h"

namespace teamscale {

bool IsRewrite(core::ActionKind kind);

// Gives up where limited patience ends; a later run goes on.
void PerformRewrite(const core::Action& action);

}  // namespace teamscale

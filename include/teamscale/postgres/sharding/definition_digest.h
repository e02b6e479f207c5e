// Definitions of sharded tables that are the same on every node. Plain dialect.
#pragma once

namespace teamscale {

// Until the transaction ends, no other session of the cluster that calls this goes on: changes of
// definitions come one after the other, and take their locks on the nodes in whatever order.
void LockDefinitions();

// Raises 55000 with a HINT when a sharded table is not the same on every active node, as this
// transaction has left it: columns, constraints, indexes, triggers, policies, statistics objects,
// privileges, owner.
void CheckSameDefinitions();

}  // namespace teamscale

// LOCK TABLE of sharded tables: on all nodes, in the order of their ids, so that two sessions that
// lock the same tables through different nodes wait for each other and do not deadlock.

#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/node_state.h"
#include "teamscale/postgres/sharding/cluster_command.h"
#include "teamscale/postgres/sharding/utility_call.h"

extern "C" {
#include "access/xact.h"
#include "lib/stringinfo.h"
#include "storage/lockdefs.h"
}

namespace teamscale {

namespace {

const char* ModeName(int mode) {
  switch (mode) {
    case AccessShareLock:
      return "ACCESS SHARE";
    case RowShareLock:
      return "ROW SHARE";
    case RowExclusiveLock:
      return "ROW EXCLUSIVE";
    case ShareUpdateExclusiveLock:
      return "SHARE UPDATE EXCLUSIVE";
    case ShareLock:
      return "SHARE";
    case ShareRowExclusiveLock:
      return "SHARE ROW EXCLUSIVE";
    case ExclusiveLock:
      return "EXCLUSIVE";
    default:
      return "ACCESS EXCLUSIVE";
  }
}

char* LockCommand(const LockStmt* statement, List* relations) {
  StringInfoData command;
  initStringInfo(&command);
  appendStringInfoString(&command, "LOCK TABLE ");
  for (int i = 0; i < list_length(relations); ++i)
    appendStringInfo(&command, "%s%s", i ? ", " : "", QualifiedName(list_nth_oid(relations, i)));
  appendStringInfo(&command, " IN %s MODE%s", ModeName(statement->mode),
                   statement->nowait ? " NOWAIT" : "");
  return command.data;
}

}  // namespace

bool LockShardedTables(const UtilityCall& call) {
  auto* statement = reinterpret_cast<LockStmt*>(call.statement->utilityStmt);
  List* relations = ShardedTablesNamed(statement->relations);
  if (relations == NIL) return false;
  RequireServingNode();
  RequireTransactionBlock(call.IsTopLevel(), "LOCK TABLE");
  char* command = LockCommand(statement, relations);
  const core::ShardMap* map = CurrentShardMap();
  // A map that is replaced meanwhile lives until the transaction ends.
  for (const core::Node& node : map->nodes()) {
    if (node.id == map->local_node())
      RunNative(call);
    else if (node.state == core::NodeState::kActive)
      LockOnNode(node.id, command);
  }
  return true;
}

}  // namespace teamscale

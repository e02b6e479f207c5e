// TRUNCATE of sharded tables: on all nodes in the one transaction.

#include "teamscale/postgres/cluster/node_state.h"
#include "teamscale/postgres/sharding/cluster_command.h"
#include "teamscale/postgres/sharding/definition_digest.h"
#include "teamscale/postgres/sharding/utility_call.h"

extern "C" {
#include "lib/stringinfo.h"
}

namespace teamscale {

namespace {

// The command for the other nodes: the sharded tables only, whatever else the list names.
char* TruncateCommand(const TruncateStmt* statement, List* relations) {
  StringInfoData command;
  initStringInfo(&command);
  appendStringInfoString(&command, "TRUNCATE ");
  for (int i = 0; i < list_length(relations); ++i)
    appendStringInfo(&command, "%s%s", i ? ", " : "", QualifiedName(list_nth_oid(relations, i)));
  if (statement->restart_seqs) appendStringInfoString(&command, " RESTART IDENTITY");
  if (statement->behavior == DROP_CASCADE) appendStringInfoString(&command, " CASCADE");
  return command.data;
}

}  // namespace

bool TruncateShardedTables(const UtilityCall& call) {
  auto* statement = reinterpret_cast<TruncateStmt*>(call.statement->utilityStmt);
  List* relations = ShardedTablesNamed(statement->relations);
  if (relations == NIL) return false;
  RequireServingNode();
  RequireOwnersActive(relations);
  char* command = TruncateCommand(statement, relations);
  // Two sessions that truncate the same tables through different nodes must not wait for each
  // other.
  LockDefinitions();
  // This node first: PostgreSQL checks privileges and foreign keys.
  RunNativeAsOwnDdl(call);
  ExecuteOnOtherNodes(command);
  return true;
}

}  // namespace teamscale

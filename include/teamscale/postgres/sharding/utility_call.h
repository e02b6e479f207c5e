// A utility command on its way through the ProcessUtility hook. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "tcop/utility.h"
}

namespace teamscale {

struct UtilityCall {
  PlannedStmt* statement;
  const char* query;
  bool read_only_tree;
  ProcessUtilityContext context;
  ParamListInfo parameters;
  QueryEnvironment* environment;
  DestReceiver* destination;
  QueryCompletion* completion;

  bool IsTopLevel() const { return context == PROCESS_UTILITY_TOPLEVEL; }
};

// Hands the command on: to the hook that was there before, or to PostgreSQL.
void RunNative(const UtilityCall& call);

// The same for another parse tree in the command's place.
void RunNative(const UtilityCall& call, Node* tree);

// The same as teamscale's own change of sharded tables (see ddl_guard.h).
void RunNativeAsOwnDdl(const UtilityCall& call);

// A COPY that another node sends reaches this node only while both are in the cluster
// (copy_from.cpp).
void CheckRouterCopy(const UtilityCall& call);

// What the hook does for commands on sharded tables in cluster scope. Each gives false when the
// command names no sharded table: it is handed on then.
bool CopyIntoShardedTable(const UtilityCall& call);   // copy_from.cpp
bool DropShardedTables(const UtilityCall& call);      // drop_command.cpp
bool TruncateShardedTables(const UtilityCall& call);  // truncate_command.cpp
bool MaintainShardedTables(const UtilityCall& call);  // maintenance_command.cpp: VACUUM, ANALYZE,
                                                      // CLUSTER, REINDEX
bool LockShardedTables(const UtilityCall& call);      // lock_command.cpp
bool SetConstraintsEverywhere(const UtilityCall& call);  // constraints_command.cpp

// Raises for every other command that would change a sharded table on this node alone.
// definition_command.cpp
void CheckDefinitionCommand(const UtilityCall& call);

// CREATE and ALTER PUBLICATION, publication_command.cpp
void CheckPublication(const Node* tree);

// Raises for what may not be done to a sharded table on all nodes either: its rows would be
// rewritten, or its leaves and its key no longer be what the catalog says.
void CheckCommandForAllNodes(const UtilityCall& call);

}  // namespace teamscale

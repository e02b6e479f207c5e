#include "teamscale/postgres/sharding/utility_hook.h"

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/utility_command.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/node_session.h"
#include "teamscale/postgres/cluster/remote_transaction.h"
#include "teamscale/postgres/cluster/taken_settings.h"
#include "teamscale/postgres/sharding/bucket_schema.h"
#include "teamscale/postgres/sharding/catalog_guard.h"
#include "teamscale/postgres/sharding/ddl_guard.h"
#include "teamscale/postgres/sharding/leaf_owner.h"
#include "teamscale/postgres/sharding/local_scope.h"
#include "teamscale/postgres/sharding/preload_guard.h"
#include "teamscale/postgres/sharding/route_portal.h"
#include "teamscale/postgres/sharding/utility_call.h"

extern "C" {
#include "access/xact.h"
}

namespace teamscale {

namespace {

ProcessUtility_hook_type previous_hook = nullptr;

// Not where no catalog can be read either: in an aborted transaction, or outside any.
bool MayConcernTables(const Node* tree) {
  return (!NamesNoTable(tree) || IsA(tree, ConstraintsSetStmt)) && IsTransactionState();
}

bool IsConcerned(const UtilityCall& call) {
  // A subcommand belongs to a command that was looked at before.
  if (call.context == PROCESS_UTILITY_SUBCOMMAND) return false;
  if (!MayConcernTables(call.statement->utilityStmt)) return false;
  const core::ShardMap* map = CurrentShardMap();
  return map && !map->tables().empty();
}

// Whether the command's own query goes through the planner as a statement of the client's. All
// other commands run user code (triggers, defaults, index expressions) only as something nested.
bool PlansQuery(const Node* tree) {
  switch (nodeTag(tree)) {
    case T_CopyStmt:
      return !reinterpret_cast<const CopyStmt*>(tree)->is_from;
    case T_PrepareStmt:
    case T_ExecuteStmt:
    case T_ExplainStmt:
    case T_DeclareCursorStmt:
    case T_FetchStmt:
    case T_CreateTableAsStmt:
    case T_RefreshMatViewStmt:
      return true;
    default:
      return false;
  }
}

void HandOn(const UtilityCall& call) {
  auto next = previous_hook ? previous_hook : standard_ProcessUtility;
  next(call.statement, call.query, call.read_only_tree, call.context, call.parameters,
       call.environment, call.destination, call.completion);
}

bool ActOnAllNodes(const UtilityCall& call) {
  if (CurrentScope() == Scope::kLocal) return false;
  switch (nodeTag(call.statement->utilityStmt)) {
    case T_CopyStmt:
      return CopyIntoShardedTable(call);
    case T_DropStmt:
      return DropShardedTables(call);
    case T_TruncateStmt:
      return TruncateShardedTables(call);
    case T_VacuumStmt:
    case T_ClusterStmt:
    case T_ReindexStmt:
      return MaintainShardedTables(call);
    case T_LockStmt:
      return LockShardedTables(call);
    case T_ConstraintsSetStmt:
      return SetConstraintsEverywhere(call);
    default:
      return false;
  }
}

bool IsDiscardAll(const Node* tree) {
  return IsA(tree, DiscardStmt) &&
         reinterpret_cast<const DiscardStmt*>(tree)->target == DISCARD_ALL;
}

void RunNativeGranted(const UtilityCall& call, bool drop) {
  DdlRight previous = GrantDdlToCommand(drop);
  PG_TRY();
  {
    bool opened = OpenBucketSchema(call);
    RunNative(call);
    if (opened) CloseBucketSchema();
    PassOwnerToLeaves(call);
  }
  PG_FINALLY();
  { LeaveOwnDdl(previous); }
  PG_END_TRY();
}

void ActOrRefuse(const UtilityCall& call) {
  CheckRouterCopy(call);
  if (MayChangeHere()) {
    if (InLocalStatement()) CheckCommandForAllNodes(call);
    // What run_on_all_nodes() is given does not take a table out of the catalog.
    RunNativeGranted(call, !InLocalStatement());
  } else if (!ActOnAllNodes(call)) {
    CheckDefinitionCommand(call);
    RunNative(call);
  }
}

void Utility(PlannedStmt* statement, const char* query, bool read_only_tree,
             ProcessUtilityContext context, ParamListInfo parameters, QueryEnvironment* environment,
             DestReceiver* destination, QueryCompletion* completion) {
  UtilityCall call{statement,  query,       read_only_tree, context,
                   parameters, environment, destination,    completion};
  Node* tree = statement->utilityStmt;
  if (context != PROCESS_UTILITY_SUBCOMMAND) {
    CheckPreloadSetting(tree);
    CheckCatalogCommand(tree);
  }
  bool concerned = IsConcerned(call);
  if (concerned) ExecuteForWaitingPortal();
  int depth = concerned ? EnterCommand() : 0;
  bool filling = EnterMaterializedView(tree);
  PG_TRY();
  {
    if (concerned)
      ActOrRefuse(call);
    else
      RunNative(call);
  }
  PG_FINALLY();
  {
    LeaveMaterializedView(filling);
    if (concerned) LeaveCommand(depth);
  }
  PG_END_TRY();
  if (IsDiscardAll(tree)) EnterFromPostgres(CloseIdleSessions);
}

}  // namespace

void InitUtilityHook() {
  previous_hook = ProcessUtility_hook;
  ProcessUtility_hook = Utility;
}

void RunNative(const UtilityCall& call) {
  if (PlansQuery(call.statement->utilityStmt)) {
    HandOn(call);
    return;
  }
  int level = EnterNestedExecution();
  PG_TRY();
  { HandOn(call); }
  PG_FINALLY();
  { LeaveNestedExecution(level); }
  PG_END_TRY();
  if (level == 0 && IsTransactionState()) RestoreTakenSettings();
}

void RunNative(const UtilityCall& call, Node* tree) {
  UtilityCall changed = call;
  changed.statement = makeNode(PlannedStmt);
  *changed.statement = *call.statement;
  changed.statement->utilityStmt = tree;
  changed.read_only_tree = false;
  RunNative(changed);
}

void RunNativeAsOwnDdl(const UtilityCall& call) { RunNativeGranted(call, true); }

}  // namespace teamscale

// The planner and executor hooks: where every statement passes.
#include "teamscale/postgres/sharding/executor.h"

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/node_session.h"
#include "teamscale/postgres/cluster/node_state.h"
#include "teamscale/postgres/cluster/remote_transaction.h"
#include "teamscale/postgres/cluster/taken_settings.h"
#include "teamscale/postgres/sharding/catalog_guard.h"
#include "teamscale/postgres/sharding/inlining.h"
#include "teamscale/postgres/sharding/local_scope.h"
#include "teamscale/postgres/sharding/route.h"
#include "teamscale/postgres/sharding/route_portal.h"
#include "teamscale/postgres/sharding/split_insert.h"
#include "teamscale/postgres/sharding/travelling_views.h"

extern "C" {
#include "access/parallel.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/planner.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

planner_hook_type previous_planner = nullptr;
ExecutorStart_hook_type previous_start = nullptr;
ExecutorRun_hook_type previous_run = nullptr;
ExecutorFinish_hook_type previous_finish = nullptr;

// --- Planning
// ---------------------------------------------------------------------------------------

// PostgreSQL's plan for this node. What it runs meanwhile (immutable functions) is nested.
PlannedStmt* PlanLocally(Query* query, const char* query_string, int cursor_options,
                         ParamListInfo parameters) {
  int level = EnterNestedExecution();
  PlannedStmt* volatile plan = nullptr;
  PG_TRY();
  {
    auto next = previous_planner ? previous_planner : standard_planner;
    plan = next(query, query_string, cursor_options, parameters);
  }
  PG_FINALLY();
  { LeaveNestedExecution(level); }
  PG_END_TRY();
  return plan;
}

[[noreturn]] void RefuseStatement(const ShardedQuery* sharded) {
  ereport(
      ERROR,
      (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("the statement cannot be sent to one node"),
       errdetail("%s", sharded->obstacle), sharded->hint ? errhint("%s", sharded->hint) : 0));
  pg_unreachable();
}

void RefuseOnStandby() {
  if (!RecoveryInProgress()) return;
  ereport(
      ERROR,
      (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("a standby does not serve sharded tables"),
       errhint("Ask the primary, or set teamscale.scope = local to see this node's rows.")));
}

bool IsSplittable(const Query* query, const core::ShardMap* map) {
  return query->commandType == CMD_INSERT &&
         map->FindTable(rt_fetch(query->resultRelation, query->rtable)->relid);
}

// Whether an INSERT's rows come from a VALUES list or a query.
bool HasSeveralRows(const Query* query) { return query->jointree->fromlist != NIL; }

PlannedStmt* PlanSharded(Query* query, const core::ShardMap* map, const char* query_string,
                         int cursor_options, ParamListInfo parameters) {
  RequireServingNode();
  RefuseOnStandby();
  ShardedQuery* sharded = AnalyzeShardedQuery(query, map);
  // Rows that are not known to belong to one node now are split when they are.
  if (IsSplittable(query, map) && (sharded->obstacle || sharded->names_other_tables ||
                                   (HasSeveralRows(query) && !HasOneOwnerNow(sharded, parameters))))
    return PlanSplitInsert(query, query_string, cursor_options, parameters);
  if (sharded->obstacle) RefuseStatement(sharded);
  return PlanRoute(query, sharded, PlanLocally, query_string, cursor_options, parameters);
}

PlannedStmt* Plan(Query* query, const char* query_string, int cursor_options,
                  ParamListInfo parameters) {
  const core::ShardMap* map = CurrentShardMap();
  if (!map || map->tables().empty())
    return PlanLocally(query, query_string, cursor_options, parameters);
  if (CurrentScope() == Scope::kLocal) {
    if (InRouterStatement()) CheckTravellingViews(query_string);
    CheckLocalQuery(query, map);
  } else {
    List* dependencies = InlineShardedFunctions(query, map);
    if (NamesShardedTable(query, map)) {
      ReadWholeTables(query, map);
      PlannedStmt* plan = PlanSharded(query, map, query_string, cursor_options, parameters);
      plan->invalItems = list_concat(plan->invalItems, dependencies);
      return plan;
    }
  }
  return PlanLocally(query, query_string, cursor_options, parameters);
}

// --- Execution
// --------------------------------------------------------------------------------------

// The net: a plan that reads or writes a sharded table here, and that was not made by Plan() for
// this scope, would show this node's rows as if they were all.
void RefuseUnsanctioned(const PlannedStmt* plan, const core::ShardMap* map) {
  if (IsSanctioned(plan) || IsSplitInsert(plan)) return;
  ListCell* cell;
  foreach (cell, plan->rtable) {
    auto* entry = lfirst_node(RangeTblEntry, cell);
    if (entry->rtekind != RTE_RELATION || !map->FindTable(entry->relid)) continue;
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("a plan made for one node cannot answer for sharded table \"%s\"",
                           get_rel_name(entry->relid)),
                    errdetail("It was made in another scope, or by a function that PostgreSQL "
                              "inlined."),
                    errhint("Prepare the statement again.")));
  }
}

// What another node sends is answered by the node that it means, and only to one that is in the
// cluster.
void CheckRouterStatement(const PlannedStmt* plan, const core::ShardMap* map) {
  RequireActiveRouter();
  if (KnownToServe()) return;
  ListCell* cell;
  foreach (cell, plan->rtable) {
    auto* entry = lfirst_node(RangeTblEntry, cell);
    if (entry->rtekind == RTE_RELATION && map->FindTable(entry->relid)) return RequireServingNode();
  }
}

// A snapshot from before a table was sharded sees none of the rows that it has here, and all that
// other nodes have.
void RefuseOldSnapshot(const QueryDesc* query, const core::ShardMap* map) {
  if (!query->snapshot) return;
  ListCell* cell;
  foreach (cell, query->plannedstmt->rtable) {
    auto* entry = lfirst_node(RangeTblEntry, cell);
    if (entry->rtekind != RTE_RELATION || !map->FindTable(entry->relid) ||
        SnapshotHasShardedTable(query->snapshot, entry->relid))
      continue;
    ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                    errmsg("sharded table \"%s\" is younger than the snapshot",
                           get_rel_name(entry->relid)),
                    errdetail("The table was sharded after the transaction, or the statement that "
                              "runs this one, had begun."),
                    errhint("Repeat the transaction.")));
  }
}

// A split INSERT notes it for its rows.
void NoteUseOfThisNode(const PlannedStmt* plan, const core::ShardMap* map) {
  if (XactIsoLevel != XACT_SERIALIZABLE || IsRoute(plan) || IsSplitInsert(plan)) return;
  ListCell* cell;
  foreach (cell, plan->rtable) {
    auto* entry = lfirst_node(RangeTblEntry, cell);
    if (entry->rtekind != RTE_RELATION || !map->FindTable(entry->relid)) continue;
    EnterFromPostgres(UseThisNode);
    return;
  }
}

void Start(QueryDesc* query, int flags) {
  const core::ShardMap* map = IsParallelWorker() ? nullptr : CurrentShardMap();
  bool starts_portal = false;
  if (map) CheckCatalogRows(query->plannedstmt);
  if (map && !map->tables().empty()) {
    if (InRouterStatement()) CheckRouterStatement(query->plannedstmt, map);
    ExecuteForWaitingPortal();
    starts_portal = StartsPortal(query);
    RefuseOldSnapshot(query, map);
    if (IsRoute(query->plannedstmt))
      query->plannedstmt = ResolveRoute(query->plannedstmt, query->params);
    else if (CurrentScope() == Scope::kCluster)
      RefuseUnsanctioned(query->plannedstmt, map);
    else if (!(flags & EXEC_FLAG_EXPLAIN_ONLY))
      CheckLocalExecution(query, map);
    if (CurrentScope() == Scope::kCluster) NoteUseOfThisNode(query->plannedstmt, map);
  }
  if (previous_start)
    previous_start(query, flags);
  else
    standard_ExecutorStart(query, flags);
  if (starts_portal) ExecuteForStartingPortal(query);
}

void Run(QueryDesc* query, ScanDirection direction, uint64 count, bool once) {
  int level = EnterNestedExecution();
  PG_TRY();
  {
    if (previous_run)
      previous_run(query, direction, count, once);
    else
      standard_ExecutorRun(query, direction, count, once);
  }
  PG_FINALLY();
  { LeaveNestedExecution(level); }
  PG_END_TRY();
  if (level == 0) RestoreTakenSettings();
}

void Finish(QueryDesc* query) {
  int level = EnterNestedExecution();
  PG_TRY();
  {
    if (previous_finish)
      previous_finish(query);
    else
      standard_ExecutorFinish(query);
  }
  PG_FINALLY();
  { LeaveNestedExecution(level); }
  PG_END_TRY();
  if (level == 0) RestoreTakenSettings();
}

}  // namespace

void InitExecutor() {
  InitRoute();
  previous_planner = planner_hook;
  planner_hook = Plan;
  previous_start = ExecutorStart_hook;
  ExecutorStart_hook = Start;
  previous_run = ExecutorRun_hook;
  ExecutorRun_hook = Run;
  previous_finish = ExecutorFinish_hook;
  ExecutorFinish_hook = Finish;
}

}  // namespace teamscale

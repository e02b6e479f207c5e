#include "teamscale/postgres/sharding/local_scope.h"

#include <utility>

#include "teamscale/postgres/boundary/tree.h"
#include "teamscale/postgres/cluster/node_session.h"
#include "teamscale/postgres/sharding/sharded_query.h"

extern "C" {
#include "access/xact.h"
#include "miscadmin.h"
#include "tcop/dest.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

// Whether a materialized view is being filled.
bool filling = false;

void OnTransactionEnd(XactEvent event, void*) {
  if (event == XACT_EVENT_ABORT) filling = false;
}

bool IsSharded(const RangeTblEntry* entry, const core::ShardMap* map) {
  return entry->rtekind == RTE_RELATION && map->FindTable(entry->relid);
}

bool FindShardedSubquery(Node* node, const core::ShardMap* map) {
  if (!node) return false;
  if (IsA(node, Query)) return NamesShardedTable(castNode(Query, node), map);
  return WalkExpression(node, FindShardedSubquery, map);
}

bool ReadsShardedTable(List* expressions, const core::ShardMap* map) {
  return FindShardedSubquery(reinterpret_cast<Node*>(expressions), map);
}

// Finds a sharded table that the query reads for another role, which owns a view, or for a policy.
bool FindForeignLook(Node* node, const core::ShardMap* map) {
  if (!node) return false;
  if (IsA(node, RangeTblEntry)) {
    auto* entry = castNode(RangeTblEntry, node);
    bool for_another = OidIsValid(entry->checkAsUser) && entry->checkAsUser != GetUserId();
    return (for_another && IsSharded(entry, map)) || ReadsShardedTable(entry->securityQuals, map);
  }
  if (IsA(node, Query)) {
    auto* query = castNode(Query, node);
    return ReadsShardedTable(query->withCheckOptions, map) ||
           WalkQuery(query, FindForeignLook, map, QTW_EXAMINE_RTES_BEFORE);
  }
  return WalkExpression(node, FindForeignLook, map);
}

bool IsUnrestricted() { return superuser() || InSuperuserSession(); }

// CREATE TABLE AS and the like as well.
bool Writes(const QueryDesc* query) {
  if (query->plannedstmt->commandType != CMD_SELECT || query->plannedstmt->hasModifyingCTE)
    return true;
  return query->dest && query->dest->mydest == DestIntoRel;
}

bool FillsMaterializedView(const Node* command) {
  switch (nodeTag(command)) {
    case T_RefreshMatViewStmt:
      return !reinterpret_cast<const RefreshMatViewStmt*>(command)->skipData;
    case T_CreateTableAsStmt: {
      auto* create = reinterpret_cast<const CreateTableAsStmt*>(command);
      return create->objtype == OBJECT_MATVIEW && !create->into->skipData;
    }
    case T_ExplainStmt: {
      // EXPLAIN ANALYZE makes the view.
      auto* query = castNode(Query, reinterpret_cast<const ExplainStmt*>(command)->query);
      return query->utilityStmt && FillsMaterializedView(query->utilityStmt);
    }
    default:
      return false;
  }
}

}  // namespace

void InitLocalScope() { RegisterXactCallback(OnTransactionEnd, nullptr); }

bool EnterMaterializedView(const Node* command) {
  return std::exchange(filling, filling || FillsMaterializedView(command));
}

void LeaveMaterializedView(bool previous) { filling = previous; }

void CheckLocalQuery(Query* query, const core::ShardMap* map) {
  if (InRouterStatement() || IsUnrestricted()) return;
  if (FindForeignLook(reinterpret_cast<Node*>(query), map))
    ereport(ERROR,
            (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
             errmsg("what a view or a policy hides cannot be decided by one node's rows"),
             errdetail("A row security policy, or a view of another role, reads a sharded table."),
             errhint("Give the statement with teamscale.scope = cluster, and not by "
                     "run_on_node().")));
}

void CheckLocalExecution(const QueryDesc* query, const core::ShardMap* map) {
  if (InRouterStatement()) return;
  bool may_write = InLocalStatement() || IsUnrestricted() || !Writes(query);
  if (may_write && !filling) return;
  ListCell* cell;
  foreach (cell, query->plannedstmt->rtable) {
    auto* entry = lfirst_node(RangeTblEntry, cell);
    if (!IsSharded(entry, map)) continue;
    if (filling)
      ereport(ERROR,
              (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
               errmsg("a materialized view cannot be filled with one node's rows of sharded table "
                      "\"%s\"",
                      get_rel_name(entry->relid)),
               errdetail("It would give them for the answer to its query."),
               errhint("Fill it with teamscale.scope = cluster.")));
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg("a statement on sharded table \"%s\" may not write under "
                           "teamscale.scope = local",
                           get_rel_name(entry->relid)),
                    errdetail("It sees this node's rows only; a superuser may."),
                    errhint("SET teamscale.scope = cluster.")));
  }
}

}  // namespace teamscale

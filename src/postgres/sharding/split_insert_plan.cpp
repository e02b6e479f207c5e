#include "teamscale/postgres/sharding/insert_privilege.h"
#include "teamscale/postgres/sharding/insert_statement.h"
#include "teamscale/postgres/sharding/source_query.h"
#include "teamscale/postgres/sharding/split_insert.h"
#include "teamscale/postgres/sharding/split_insert_nodes.h"

extern "C" {
#include "access/sysattr.h"
#include "catalog/pg_class.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
}

namespace teamscale {

namespace {

[[noreturn]] void Refuse(Oid parent, const char* why, const char* hint) {
  ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                  errmsg("this INSERT into sharded table \"%s\" cannot be split over nodes",
                         get_rel_name(parent)),
                  errdetail_internal("%s", why), errhint("%s", hint)));
}

RangeTblEntry* Target(const Query* query) { return rt_fetch(query->resultRelation, query->rtable); }

// A view that was written to leaves its own entry behind, and its rights and checks in the
// target's.
bool IsThroughView(const Query* query) {
  const RangeTblEntry* target = Target(query);
  if (OidIsValid(target->checkAsUser)) return true;
  ListCell* cell;
  foreach (cell, query->withCheckOptions)
    if (static_cast<WithCheckOption*>(lfirst(cell))->kind == WCO_VIEW_CHECK) return true;
  return false;
}

void CheckClauses(const Query* query, Oid parent) {
  if (IsThroughView(query))
    Refuse(parent, "It is made through a view.", "Insert into the table itself.");
  if (query->hasModifyingCTE)
    Refuse(parent, "Its WITH clause writes.", "Use a statement for each write.");
  if (ReadsShardedTables(query->onConflict) || ReadsShardedTables(query->returningList) ||
      ReadsShardedTables(query->targetList))
    Refuse(parent, "A subquery outside of its source reads a sharded table.",
           "Read it in a statement before.");
}

bool NeedsStatement(const Query* query) {
  return query->onConflict || query->returningList != NIL || query->withCheckOptions != NIL ||
         check_enable_rls(Target(query)->relid, InvalidOid, true) == RLS_ENABLED;
}

// The columns that travel: those that the statement names, and those whose defaults are evaluated
// here. A default of a column that the user may not insert is left to the owner.
List* ColumnsToSend(const Query* query) {
  const RangeTblEntry* target = Target(query);
  List* columns = NIL;
  ListCell* cell;
  foreach (cell, query->targetList) {
    auto* entry = static_cast<TargetEntry*>(lfirst(cell));
    if (entry->resjunk) continue;
    bool named =
        bms_is_member(entry->resno - FirstLowInvalidHeapAttributeNumber, target->insertedCols);
    if (named || MayInsertColumn(target->relid, entry->resno))
      columns = lappend_int(columns, entry->resno);
  }
  return columns;
}

SplitInsertPlan* DescribeInsert(Query* query) {
  auto* insert = static_cast<SplitInsertPlan*>(palloc0(sizeof(SplitInsertPlan)));
  insert->parent = Target(query)->relid;
  insert->columns = ColumnsToSend(query);
  if (!NeedsStatement(query)) return insert;
  TravellingStatement* statement = MakeInsertStatement(query, insert->columns);
  insert->statement = statement->sql;
  insert->parameters = statement->parameters;
  insert->one_batch = query->onConflict && query->onConflict->action == ONCONFLICT_UPDATE;
  return insert;
}

// Puts our nodes into the plan that PostgreSQL made for this node.
void InsertNodes(PlannedStmt* plan, const Query* query, const SplitInsertPlan* insert) {
  if (!IsA(plan->planTree, ModifyTable)) elog(ERROR, "an INSERT was planned without ModifyTable");
  plan->planTree->lefttree =
      reinterpret_cast<Plan*>(MakeInsertNode(outerPlan(plan->planTree), insert));
  if (query->returningList != NIL)
    plan->planTree = reinterpret_cast<Plan*>(MakeReturningNode(plan->planTree));
}

}  // namespace

void InitSplitInsert() {
  RegisterInsertNode();
  RegisterReturningNode();
  RegisterSourceNode();
}

PlannedStmt* PlanSplitInsert(Query* query, const char* query_string, int cursor_options,
                             ParamListInfo parameters) {
  Oid parent = Target(query)->relid;
  CheckClauses(query, parent);
  SplitInsertPlan* insert = DescribeInsert(query);
  PlannedStmt* source = nullptr;
  if (Query* source_query = TakeShardedSource(query))
    source = planner(source_query, query_string, cursor_options, parameters);
  PlannedStmt* plan = standard_planner(query, query_string, cursor_options, parameters);
  if (source) PutSource(plan, source);
  InsertNodes(plan, query, insert);
  // Which columns travel is a matter of the role's privileges.
  plan->dependsOnRole = true;
  return plan;
}

bool IsSplitInsert(const PlannedStmt* plan) {
  const Plan* top = plan->planTree;
  if (IsReturningNode(top)) top = outerPlan(top);
  return top && IsA(top, ModifyTable) && IsInsertNode(outerPlan(top));
}

}  // namespace teamscale

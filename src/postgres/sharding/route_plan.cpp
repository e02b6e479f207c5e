#include "teamscale/postgres/boundary/tree.h"
#include "teamscale/postgres/cluster/catalog.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/sharding/pin_resolution.h"
#include "teamscale/postgres/sharding/route.h"
#include "teamscale/postgres/sharding/route_node.h"
#include "teamscale/postgres/sharding/travel.h"

extern "C" {
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
}

namespace teamscale {

namespace {

// Low and the same for every routed statement, so that the plan cache soon keeps one plan for all
// values of its parameters: it does not matter here which value comes.
constexpr Cost kRouteCost = 1;

// Puts values in place of the parameters that the plan is made for.
Expr* FoldParameters(Expr* expression, ParamListInfo parameters) {
  auto* global = makeNode(PlannerGlobal);
  global->boundParams = parameters;
  auto* root = makeNode(PlannerInfo);
  root->glob = global;
  Node* folded = eval_const_expressions(root, reinterpret_cast<Node*>(CopyTree(expression)));
  fix_opfuncids(folded);
  return reinterpret_cast<Expr*>(folded);
}

List* FoldPins(List* pins, ParamListInfo parameters, bool* all_constant) {
  List* folded = NIL;
  *all_constant = true;
  ListCell* cell;
  foreach (cell, pins) {
    auto* pin = static_cast<KeyPin*>(palloc(sizeof(KeyPin)));
    *pin = *static_cast<KeyPin*>(lfirst(cell));
    if (pin->value) pin->value = FoldParameters(pin->value, parameters);
    *all_constant = *all_constant && (!pin->value || IsA(pin->value, Const));
    folded = lappend(folded, pin);
  }
  return folded;
}

// The statement's result columns, as columns of the custom node's rows.
void SetResultColumns(CustomScan* node, Query* query) {
  List* outputs = query->commandType == CMD_SELECT ? query->targetList : query->returningList;
  AttrNumber number = 0;
  ListCell* cell;
  foreach (cell, outputs) {
    auto* output = lfirst_node(TargetEntry, cell);
    if (output->resjunk) continue;
    ++number;
    auto* expression = reinterpret_cast<Node*>(output->expr);
    auto* column = makeVar(INDEX_VAR, number, exprType(expression), exprTypmod(expression),
                           exprCollation(expression), 0);
    TargetEntry* entry = flatCopyTargetEntry(output);
    entry->expr = reinterpret_cast<Expr*>(column);
    entry->resno = number;
    entry->ressortgroupref = 0;
    node->scan.plan.targetlist = lappend(node->scan.plan.targetlist, entry);
    // What the column is made of is known over there only. A Var of this list itself would send
    // EXPLAIN VERBOSE round in circles for ever.
    auto* value = makeNode(CoerceToDomainValue);
    value->typeId = column->vartype;
    value->typeMod = column->vartypmod;
    value->collation = column->varcollid;
    value->location = -1;
    node->custom_scan_tlist =
        lappend(node->custom_scan_tlist,
                makeTargetEntry(reinterpret_cast<Expr*>(value), number, output->resname, false));
  }
}

// A PlannedStmt without a local plan: the query's own tables stay in it, so that they are locked,
// their privileges are checked, and a change of them makes a new plan.
PlannedStmt* MakeRemoteStatement(Query* query) {
  auto* plan = makeNode(PlannedStmt);
  plan->commandType = query->commandType;
  plan->hasReturning = query->returningList != NIL;
  plan->hasModifyingCTE = query->hasModifyingCTE;
  ListCell* cell;
  List* queries = list_make1(query);
  for (int i = 0; i < list_length(queries); ++i) {
    foreach (cell, static_cast<Query*>(list_nth(queries, i))->rtable) {
      auto* entry = lfirst_node(RangeTblEntry, cell);
      if (entry->rtekind == RTE_SUBQUERY) {
        queries = lappend(queries, entry->subquery);
        continue;
      }
      if (entry->rtekind != RTE_RELATION) continue;
      auto* kept = CopyTree(entry);
      kept->securityQuals = NIL;
      kept->tablesample = nullptr;
      plan->rtable = lappend(plan->rtable, kept);
      plan->relationOids = list_append_unique_oid(plan->relationOids, entry->relid);
    }
    foreach (cell, static_cast<Query*>(list_nth(queries, i))->cteList)
      queries = lappend(queries, lfirst_node(CommonTableExpr, cell)->ctequery);
  }
  return plan;
}

// Tells who looks at a plan (a cursor, a function that is not volatile) that it locks rows. A
// parent's mark does nothing at execution.
PlanRowMark* MakeIdleRowMark() {
  auto* mark = makeNode(PlanRowMark);
  mark->isParent = true;
  return mark;
}

// Finds what is wrong with the constants of a VALUES list, as planning it here would, before any
// row is written: the statement travels without the implicit casts of its values, so the owner's
// planner does not see them.
void CheckConstants(Query* query) {
  ListCell* cell;
  foreach (cell, query->rtable) {
    auto* entry = lfirst_node(RangeTblEntry, cell);
    if (entry->rtekind == RTE_VALUES)
      eval_const_expressions(nullptr, reinterpret_cast<Node*>(CopyTree(entry->values_lists)));
  }
}

}  // namespace

void MarkSanctioned(PlannedStmt* plan) {
  // It also makes the plan depend on the map: each change of the catalog replans it.
  plan->relationOids = lappend_oid(plan->relationOids, CatalogRelation(CatalogTable::kCluster));
}

bool IsSanctioned(const PlannedStmt* plan) {
  return plan->relationOids != NIL &&
         llast_oid(plan->relationOids) == CatalogRelation(CatalogTable::kCluster);
}

PlannedStmt* PlanRoute(Query* query, const ShardedQuery* sharded, LocalPlanner plan_locally,
                       const char* query_string, int cursor_options, ParamListInfo parameters) {
  RouteParts parts = {};
  parts.inserted = InsertedKeyOf(query);
  bool all_constant;
  parts.pins = FoldPins(sharded->pins, parameters, &all_constant);

  bool may_be_local = true;
  if (all_constant) {
    Owner owner = ResolvePins(parts.pins, parameters, parts.inserted);
    bool is_local = owner.node == CurrentShardMap()->local_node();
    if (is_local && owner.bucket) {
      PlannedStmt* plan = plan_locally(query, query_string, cursor_options, parameters);
      MarkSanctioned(plan);
      return plan;
    }
    may_be_local = is_local;
  }

  if (query->commandType == CMD_INSERT) CheckConstants(query);
  if (may_be_local && sharded->names_other_tables) {
    // It can run here and nowhere else; where the rows are is known at each execution.
    parts.query = CopyTree(query);
  } else {
    TravellingStatement* travelling = MakeTravellingStatement(query);
    parts.sql = travelling->sql;
    parts.writes = travelling->writes;
    parts.parameters = travelling->parameters;
  }

  PlannedStmt* plan;
  if (may_be_local) {
    parts.local_plan = plan_locally(CopyTree(query), query_string, cursor_options, parameters);
    plan = static_cast<PlannedStmt*>(palloc(sizeof(PlannedStmt)));
    *plan = *parts.local_plan;
    plan->parallelModeNeeded = false;
    plan->subplans = NIL;
    plan->rowMarks = NIL;
    plan->resultRelations = NIL;
    plan->appendRelations = NIL;
    plan->jitFlags = 0;
    plan->paramExecTypes = NIL;
    plan->relationOids = list_copy(plan->relationOids);
    MarkSanctioned(parts.local_plan);
  } else {
    plan = MakeRemoteStatement(query);
  }
  if (query->rowMarks) plan->rowMarks = list_make1(MakeIdleRowMark());
  CustomScan* node = MakeRouteNode(parts);
  SetResultColumns(node, query);
  node->scan.plan.startup_cost = 0;
  node->scan.plan.total_cost = kRouteCost;
  node->scan.plan.plan_rows = parts.local_plan ? parts.local_plan->planTree->plan_rows : 1;
  node->scan.plan.plan_width = 0;
  plan->planTree = reinterpret_cast<Plan*>(node);
  plan->canSetTag = query->canSetTag;
  plan->queryId = query->queryId;
  plan->stmt_location = query->stmt_location;
  plan->stmt_len = query->stmt_len;
  MarkSanctioned(plan);
  return plan;
}

bool HasOneOwnerNow(const ShardedQuery* sharded, ParamListInfo parameters) {
  bool all_constant;
  List* pins = FoldPins(sharded->pins, parameters, &all_constant);
  return all_constant && HaveOneOwner(pins, parameters, InsertedKey::kOfAnyRows);
}

bool IsRoute(const PlannedStmt* plan) { return plan->planTree && IsRouteNode(plan->planTree); }

PlannedStmt* ResolveRoute(PlannedStmt* plan, ParamListInfo parameters) {
  RouteParts parts = ReadRouteNode(reinterpret_cast<CustomScan*>(plan->planTree));
  Owner owner = ResolvePins(parts.pins, parameters, parts.inserted);
  if (owner.node != CurrentShardMap()->local_node()) {
    if (!parts.sql) MakeTravellingStatement(parts.query);  // says why it cannot travel
    return plan;
  }
  if (!parts.local_plan)
    ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                    errmsg("the rows of the statement moved to this node while it was planned"),
                    errhint("Repeat the statement.")));
  return parts.local_plan;
}

}  // namespace teamscale

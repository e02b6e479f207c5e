#include "teamscale/postgres/sharding/source_query.h"

#include "teamscale/postgres/boundary/tree.h"
#include "teamscale/postgres/sharding/split_insert_nodes.h"
#include "teamscale/postgres/sharding/travel.h"

extern "C" {
#include "nodes/makefuncs.h"
#include "parser/parsetree.h"
}

namespace teamscale {

namespace {

constexpr const char* kPlaceholder = "teamscale source";

bool ReadsShardedTable(Node* node, void*) {
  if (!node) return false;
  if (IsA(node, RangeTblEntry)) {
    auto* entry = reinterpret_cast<RangeTblEntry*>(node);
    return entry->rtekind == RTE_RELATION && IsShardedTable(entry->relid);
  }
  if (IsA(node, Query))
    return WalkQuery<void>(reinterpret_cast<Query*>(node), ReadsShardedTable, nullptr,
                           QTW_EXAMINE_RTES_BEFORE);
  return WalkExpression<void>(node, ReadsShardedTable, nullptr);
}

// The one entry of the INSERT's FROM: its SELECT or its VALUES lists; null for a single row.
RangeTblEntry* SourceEntry(Query* insert) {
  if (list_length(insert->jointree->fromlist) != 1) return nullptr;
  auto* reference = static_cast<RangeTblRef*>(linitial(insert->jointree->fromlist));
  if (!IsA(reference, RangeTblRef)) return nullptr;
  RangeTblEntry* entry = rt_fetch(reference->rtindex, insert->rtable);
  return entry->rtekind == RTE_SUBQUERY || entry->rtekind == RTE_VALUES ? entry : nullptr;
}

// --- WITH clauses of the INSERT that its SELECT refers to ----------------------------------------

// References to them have this depth within the SELECT; in the SELECT's own list they have one
// less.
bool LowerReferences(Node* node, Index* depth) {
  if (!node) return false;
  if (IsA(node, RangeTblEntry)) {
    auto* entry = reinterpret_cast<RangeTblEntry*>(node);
    if (entry->rtekind == RTE_CTE && entry->ctelevelsup == *depth) --entry->ctelevelsup;
    return false;
  }
  if (IsA(node, Query)) {
    Index below = *depth + 1;
    return WalkQuery(reinterpret_cast<Query*>(node), LowerReferences, &below,
                     QTW_EXAMINE_RTES_BEFORE);
  }
  return WalkExpression(node, LowerReferences, depth);
}

bool HaveNameInCommon(List* some, List* others) {
  ListCell *a, *b;
  foreach (a, some)
    foreach (b, others)
      if (strcmp(static_cast<CommonTableExpr*>(lfirst(a))->ctename,
                 static_cast<CommonTableExpr*>(lfirst(b))->ctename) == 0)
        return true;
  return false;
}

void MoveWithClauses(Query* insert, Query* source) {
  if (insert->cteList == NIL) return;
  if (HaveNameInCommon(insert->cteList, source->cteList))
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("this INSERT cannot be split over nodes"),
                    errdetail("A WITH clause of its SELECT has the name of one of its own."),
                    errhint("Give it another name.")));
  Index depth = 1;
  WalkQuery(source, LowerReferences, &depth, QTW_EXAMINE_RTES_BEFORE);
  source->cteList = list_concat(insert->cteList, source->cteList);
  source->hasRecursive = source->hasRecursive || insert->hasRecursive;
  insert->cteList = NIL;
  insert->hasRecursive = false;
}

// --- VALUES lists --------------------------------------------------------------------------------

Query* SelectFromValues(RangeTblEntry* values, bool has_sublinks) {
  auto* query = makeNode(Query);
  query->commandType = CMD_SELECT;
  query->querySource = QSRC_ORIGINAL;
  query->canSetTag = true;
  query->hasSubLinks = has_sublinks;
  query->rtable = list_make1(copyObjectImpl(values));
  auto* reference = makeNode(RangeTblRef);
  reference->rtindex = 1;
  query->jointree = makeFromExpr(list_make1(reference), nullptr);
  for (int i = 0; i < list_length(values->coltypes); ++i) {
    Oid type = list_nth_oid(values->coltypes, i);
    int32 typmod = list_nth_int(values->coltypmods, i);
    Oid collation = list_nth_oid(values->colcollations, i);
    Var* var = makeVar(1, i + 1, type, typmod, collation, 0);
    // Casts to the table's types are implicit in the lists: another node would not see them. The
    // columns get other names: under the same ones the deparser would print the bare lists.
    auto* cast = makeRelabelType(reinterpret_cast<Expr*>(var), type, typmod, collation,
                                 COERCE_EXPLICIT_CAST);
    query->targetList = lappend(
        query->targetList,
        makeTargetEntry(reinterpret_cast<Expr*>(cast), i + 1, psprintf("value%d", i + 1), false));
  }
  return query;
}

// --- The placeholder -----------------------------------------------------------------------------

void MakePlaceholder(RangeTblEntry* entry, Query* source) {
  List *types = NIL, *typmods = NIL, *collations = NIL;
  ListCell* cell;
  foreach (cell, source->targetList) {
    auto* column = static_cast<TargetEntry*>(lfirst(cell));
    if (column->resjunk) continue;
    auto* expression = reinterpret_cast<Node*>(column->expr);
    types = lappend_oid(types, exprType(expression));
    typmods = lappend_int(typmods, exprTypmod(expression));
    collations = lappend_oid(collations, exprCollation(expression));
  }
  entry->rtekind = RTE_NAMEDTUPLESTORE;
  entry->relid = InvalidOid;
  entry->subquery = nullptr;
  entry->values_lists = NIL;
  entry->lateral = false;
  entry->security_barrier = false;
  entry->coltypes = types;
  entry->coltypmods = typmods;
  entry->colcollations = collations;
  entry->enrname = pstrdup(kPlaceholder);
  entry->enrtuples = 1000;
}

bool IsPlaceholderScan(const Plan* plan) {
  return IsA(plan, NamedTuplestoreScan) &&
         strcmp(reinterpret_cast<const NamedTuplestoreScan*>(plan)->enrname, kPlaceholder) == 0;
}

Plan** FindPlaceholderScan(Plan** place) {
  while (*place && !IsPlaceholderScan(*place)) place = &(*place)->lefttree;
  return *place ? place : nullptr;
}

}  // namespace

bool ReadsShardedTables(void* tree) { return ReadsShardedTable(static_cast<Node*>(tree), nullptr); }

Query* TakeShardedSource(Query* insert) {
  RangeTblEntry* entry = SourceEntry(insert);
  if (!entry || !(ReadsShardedTables(entry->subquery) || ReadsShardedTables(entry->values_lists) ||
                  ReadsShardedTables(insert->cteList)))
    return nullptr;
  Query* source =
      entry->rtekind == RTE_VALUES ? SelectFromValues(entry, insert->hasSubLinks) : entry->subquery;
  MoveWithClauses(insert, source);
  MakePlaceholder(entry, source);
  return source;
}

void PutSource(PlannedStmt* plan, PlannedStmt* source) {
  Plan** place = FindPlaceholderScan(&plan->planTree->lefttree);
  if (!place) elog(ERROR, "the source of a split INSERT was planned away");
  *place = reinterpret_cast<Plan*>(MakeSourceNode(reinterpret_cast<const Scan*>(*place), source));
  plan->rtable = list_concat(plan->rtable, list_copy(source->rtable));
  plan->relationOids = list_concat_unique_oid(plan->relationOids, source->relationOids);
  plan->invalItems = list_concat(plan->invalItems, list_copy(source->invalItems));
  plan->dependsOnRole = plan->dependsOnRole || source->dependsOnRole;
  plan->transientPlan = plan->transientPlan || source->transientPlan;
}

}  // namespace teamscale

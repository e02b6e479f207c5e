#include "teamscale/postgres/sharding/inlining.h"

#include "teamscale/postgres/boundary/tree.h"
#include "teamscale/postgres/sharding/sharded_query.h"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "nodes/makefuncs.h"
#include "nodes/pathnodes.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/syscache.h"
}

namespace teamscale {

namespace {

bool IsSqlFunction(Oid function) {
  HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
  if (!HeapTupleIsValid(tuple)) return false;
  bool is_sql = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple))->prolang == SQLlanguageId;
  ReleaseSysCache(tuple);
  return is_sql;
}

// The body that PostgreSQL would put in the entry's place, or null. What the body depends on is
// appended to dependencies.
Query* InlinedBody(RangeTblEntry* entry, List** dependencies) {
  if (list_length(entry->functions) != 1 || entry->funcordinality) return nullptr;
  Node* call = linitial_node(RangeTblFunction, entry->functions)->funcexpr;
  if (!IsA(call, FuncExpr) || !IsSqlFunction(castNode(FuncExpr, call)->funcid)) return nullptr;
  auto* root = makeNode(PlannerInfo);
  root->glob = makeNode(PlannerGlobal);
  RangeTblEntry* copy = CopyTree(entry);
  copy->functions = reinterpret_cast<List*>(
      eval_const_expressions(root, reinterpret_cast<Node*>(copy->functions)));
  Query* body = inline_set_returning_function(root, copy);
  *dependencies = root->glob->invalItems;
  return body;
}

struct Inlining {
  const core::ShardMap* map;
  List* dependencies;
};

void InlineWithin(Query* query, Inlining* inlining);

bool InlineWalker(Node* node, Inlining* inlining) {
  if (!node) return false;
  if (IsA(node, Query)) {
    InlineWithin(castNode(Query, node), inlining);
    return false;
  }
  return WalkExpression(node, InlineWalker, inlining);
}

void InlineWithin(Query* query, Inlining* inlining) {
  ListCell* cell;
  foreach (cell, query->rtable) {
    auto* entry = lfirst_node(RangeTblEntry, cell);
    if (entry->rtekind != RTE_FUNCTION) continue;
    List* dependencies = NIL;
    Query* body = InlinedBody(entry, &dependencies);
    if (!body || !NamesShardedTable(body, inlining->map)) continue;
    inlining->dependencies = list_concat(inlining->dependencies, dependencies);
    entry->rtekind = RTE_SUBQUERY;
    entry->subquery = body;
    // The columns have the function's names for them, not the body's.
    entry->alias = CopyTree(entry->eref);
    entry->security_barrier = false;
    entry->functions = NIL;
    entry->funcordinality = false;
  }
  WalkQuery(query, InlineWalker, inlining, 0);
}

}  // namespace

List* InlineShardedFunctions(Query* query, const core::ShardMap* map) {
  Inlining inlining = {map, NIL};
  InlineWithin(query, &inlining);
  return inlining.dependencies;
}

}  // namespace teamscale

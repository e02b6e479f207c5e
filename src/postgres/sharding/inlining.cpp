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

// The body that PostgreSQL would put in the entry's place, or null.
Query* InlinedBody(RangeTblEntry* entry) {
  if (list_length(entry->functions) != 1 || entry->funcordinality) return nullptr;
  Node* call = linitial_node(RangeTblFunction, entry->functions)->funcexpr;
  if (!IsA(call, FuncExpr) || !IsSqlFunction(castNode(FuncExpr, call)->funcid)) return nullptr;
  auto* root = makeNode(PlannerInfo);
  root->glob = makeNode(PlannerGlobal);
  RangeTblEntry* copy = CopyTree(entry);
  copy->functions = reinterpret_cast<List*>(
      eval_const_expressions(root, reinterpret_cast<Node*>(copy->functions)));
  return inline_set_returning_function(root, copy);
}

bool InlineWalker(Node* node, const core::ShardMap* map) {
  if (!node) return false;
  if (IsA(node, Query)) {
    InlineShardedFunctions(castNode(Query, node), map);
    return false;
  }
  return WalkExpression(node, InlineWalker, map);
}

}  // namespace

void InlineShardedFunctions(Query* query, const core::ShardMap* map) {
  ListCell* cell;
  foreach (cell, query->rtable) {
    auto* entry = lfirst_node(RangeTblEntry, cell);
    if (entry->rtekind != RTE_FUNCTION) continue;
    Query* body = InlinedBody(entry);
    if (!body || !NamesShardedTable(body, map)) continue;
    entry->rtekind = RTE_SUBQUERY;
    entry->subquery = body;
    entry->security_barrier = false;
    entry->functions = NIL;
    entry->funcordinality = false;
  }
  WalkQuery(query, InlineWalker, map, 0);
}

}  // namespace teamscale

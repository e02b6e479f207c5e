#include "teamscale/postgres/sharding/statement_repair.h"

extern "C" {
#include "catalog/pg_type.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
}

namespace teamscale {

namespace {

// The rewriter put each side of the UNION into a SELECT around it that adds the columns.
void UnwrapSide(const Query* query, const Node* side, int columns) {
  RangeTblEntry* entry =
      rt_fetch(reinterpret_cast<const RangeTblRef*>(side)->rtindex, query->rtable);
  entry->subquery = linitial_node(RangeTblEntry, entry->subquery->rtable)->subquery;
  IncrementVarSublevelsUp(reinterpret_cast<Node*>(entry->subquery), -1, 2);
  // The recursive side also passes them on from the step before, behind its own columns.
  List* kept = NIL;
  int count = 0;
  ListCell* cell;
  foreach (cell, entry->subquery->targetList)
    if (lfirst_node(TargetEntry, cell)->resjunk || ++count <= columns)
      kept = lappend(kept, lfirst(cell));
  entry->subquery->targetList = kept;
  entry->eref->colnames = list_truncate(entry->eref->colnames, columns);
}

// The grammar takes a plain literal for the marks of a cycle, the deparser prints one with a cast.
// A literal without type is printed plain, and read as text again.
void MakeLiteral(Node* node) {
  auto* mark = reinterpret_cast<Const*>(node);
  if (!IsA(node, Const) || mark->consttype != TEXTOID || mark->constisnull) return;
  mark->consttype = UNKNOWNOID;
  mark->constcollid = InvalidOid;
  mark->constlen = -2;
  mark->constvalue = CStringGetDatum(TextDatumGetCString(mark->constvalue));
}

void RestoreSearch(CommonTableExpr* expression) {
  int added = (expression->search_clause ? 1 : 0) + (expression->cycle_clause ? 2 : 0);
  int columns = list_length(expression->ctecolnames) - added;
  auto* query = reinterpret_cast<Query*>(expression->ctequery);
  auto* sides = reinterpret_cast<SetOperationStmt*>(query->setOperations);
  UnwrapSide(query, sides->larg, columns);
  UnwrapSide(query, sides->rarg, columns);
  sides->colTypes = list_truncate(sides->colTypes, columns);
  sides->colTypmods = list_truncate(sides->colTypmods, columns);
  sides->colCollations = list_truncate(sides->colCollations, columns);
  sides->groupClauses = list_truncate(sides->groupClauses, columns);
  query->targetList = list_truncate(query->targetList, columns);
  expression->ctecolnames = list_truncate(expression->ctecolnames, columns);
  expression->ctecoltypes = list_truncate(expression->ctecoltypes, columns);
  expression->ctecoltypmods = list_truncate(expression->ctecoltypmods, columns);
  expression->ctecolcollations = list_truncate(expression->ctecolcollations, columns);
}

}  // namespace

void RestoreSearches(Query* query) {
  ListCell* cell;
  foreach (cell, query->cteList) {
    auto* expression = lfirst_node(CommonTableExpr, cell);
    if (expression->search_clause || expression->cycle_clause) RestoreSearch(expression);
    if (!expression->cycle_clause) continue;
    MakeLiteral(expression->cycle_clause->cycle_mark_value);
    MakeLiteral(expression->cycle_clause->cycle_mark_default);
  }
}

}  // namespace teamscale

// Subqueries, set operations and VALUES lists: how pins pass between their columns and what is
// behind them.
#include "teamscale/postgres/sharding/pin_analysis.h"
#include "teamscale/postgres/sharding/sharded_query.h"

extern "C" {
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
}

namespace teamscale::pin_analysis {

namespace {

// Whether every window of the query is of rows that are alike in the output column.
bool PartitionsWindowsBy(Query* query, const TargetEntry* output) {
  ListCell* cell;
  foreach (cell, query->windowClause)
    if (!get_sortgroupref_clause_noerr(output->ressortgroupref,
                                       lfirst_node(WindowClause, cell)->partitionClause))
      return false;
  return true;
}

// Whether rows of the subquery with another value in an output column could be left out without any
// difference to the rows that have this one: what PostgreSQL asks before it pushes a condition
// down.
bool MayTakePinFromOutside(Query* query, const TargetEntry* output) {
  if (query->commandType != CMD_SELECT || query->limitCount || query->limitOffset ||
      query->groupingSets || query->hasTargetSRFs || query->hasDistinctOn)
    return false;
  if ((query->hasAggs || query->groupClause || query->havingQual) &&
      !get_sortgroupref_clause_noerr(output->ressortgroupref, query->groupClause))
    return false;
  if (query->hasWindowFuncs && !PartitionsWindowsBy(query, output)) return false;
  return !contain_volatile_functions(reinterpret_cast<Node*>(query->targetList));
}

// Hands a pin of a set operation's column on to its arms, where they have the column's own type.
// (A pin of one arm says nothing of the rows of another, so none comes out.)
void TieArms(Analysis* analysis, Query* query, Node* node, const TargetEntry* output, int outside,
             Equality equality) {
  if (IsA(node, SetOperationStmt)) {
    auto* operation = castNode(SetOperationStmt, node);
    TieArms(analysis, query, operation->larg, output, outside, equality);
    TieArms(analysis, query, operation->rarg, output, outside, equality);
    return;
  }
  int index = castNode(RangeTblRef, node)->rtindex;
  Query* arm = rt_fetch(index, query->rtable)->subquery;
  TargetEntry* column = get_tle_by_resno(arm->targetList, output->resno);
  if (column && exprType(reinterpret_cast<Node*>(column->expr)) ==
                    exprType(reinterpret_cast<Node*>(output->expr)))
    analysis->edges.Add({outside, NumberColumn(analysis, query, index, output->resno), equality});
}

}  // namespace

// Ties a column to the output of a query that it has its values from (equality: or is compared
// with): pins pass outward and inward as far as the query lets them.
void TieOutput(Analysis* analysis, Query* inner_query, Level* level, const TargetEntry* output,
               int outside, Equality equality, bool outward, bool inward) {
  inward = inward && MayTakePinFromOutside(inner_query, output);
  if (inner_query->setOperations) {
    if (inward)
      TieArms(analysis, inner_query, inner_query->setOperations, output, outside, equality);
    return;
  }
  Level inner = {inner_query, level};
  int inside = ColumnOf(analysis, &inner, reinterpret_cast<Node*>(output->expr));
  if (inside < 0 || analysis->columns.items[inside].query != inner_query) return;
  if (outward) analysis->edges.Add({inside, outside, equality});
  if (inward) analysis->edges.Add({outside, inside, equality});
}

// Ties the columns of a range table entry to the outputs of the query behind it.
void TieOutputs(Analysis* analysis, Level* level, int entry, Query* inner_query, bool inward) {
  List* outputs =
      inner_query->commandType == CMD_SELECT ? inner_query->targetList : inner_query->returningList;
  ListCell* cell;
  foreach (cell, outputs) {
    auto* output = lfirst_node(TargetEntry, cell);
    if (output->resjunk) continue;
    int outside = NumberColumn(analysis, level->query, entry, output->resno);
    if (CanPin(reinterpret_cast<Node*>(output->expr)))
      Seed(analysis, outside, output->expr, false, core::kIdentity);
    TieOutput(analysis, inner_query, level, output, outside, core::kIdentity, true, inward);
  }
}

// Null when one of the values cannot pin, or they are of several types.
Expr* ArrayOfValues(List* values) {
  auto* first = static_cast<Node*>(linitial(values));
  auto* array = makeNode(ArrayExpr);
  array->elements = values;
  array->element_typeid = exprType(first);
  array->array_typeid = get_array_type(array->element_typeid);
  array->array_collid = exprCollation(first);
  array->location = -1;
  ListCell* cell;
  foreach (cell, values) {
    auto* value = static_cast<Node*>(lfirst(cell));
    if (!CanPin(value) || exprType(value) != array->element_typeid) return nullptr;
  }
  return OidIsValid(array->array_typeid) ? reinterpret_cast<Expr*>(array) : nullptr;
}

namespace {

// The values of one column of a VALUES list.
List* ColumnOfRows(List* rows, int column) {
  List* values = NIL;
  ListCell* cell;
  foreach (cell, rows) values = lappend(values, list_nth(static_cast<List*>(lfirst(cell)), column));
  return values;
}

}  // namespace

// A VALUES list pins a column to the value that all its rows have, or to the set of its values.
void AddValues(Analysis* analysis, Level* level, int entry, List* rows) {
  auto* first = static_cast<List*>(linitial(rows));
  for (int i = 0; i < list_length(first); ++i) {
    Expr* array = ArrayOfValues(ColumnOfRows(rows, i));
    if (!array) continue;
    auto* value = static_cast<Node*>(list_nth(first, i));
    bool all_alike = true;
    ListCell* cell;
    foreach (cell, rows)
      all_alike = all_alike && equal(list_nth(static_cast<List*>(lfirst(cell)), i), value);
    int column = NumberColumn(analysis, level->query, entry, i + 1);
    Seed(analysis, column, all_alike ? reinterpret_cast<Expr*>(value) : array, !all_alike,
         core::kIdentity);
  }
}

}  // namespace teamscale::pin_analysis

#include "reparse.h"

#include "teamscale/postgres/boundary/tree.h"
#include "teamscale/postgres/sharding/hoisting.h"

extern "C" {
#include "nodes/makefuncs.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "tcop/tcopprot.h"
}

namespace teamscale::round_trip {

namespace {

Node* Substitute(Node* node, List* parameters) {
  if (!node) return nullptr;
  if (IsA(node, Query))
    return reinterpret_cast<Node*>(
        MutateQuery<List>(reinterpret_cast<Query*>(node), Substitute, parameters));
  if (IsA(node, Param) && reinterpret_cast<Param*>(node)->paramkind == PARAM_EXTERN)
    return static_cast<Node*>(
        copyObjectImpl(list_nth(parameters, reinterpret_cast<Param*>(node)->paramid - 1)));
  return MutateExpression<List>(node, Substitute, parameters);
}

List* ResultColumns(const Query* query) {
  List* targets = query->commandType == CMD_SELECT ? query->targetList : query->returningList;
  List* columns = NIL;
  ListCell* cell;
  foreach (cell, targets)
    if (!lfirst_node(TargetEntry, cell)->resjunk) columns = lappend(columns, lfirst(cell));
  return columns;
}

// Text forms become values again, as RowReader makes them.
Expr* ReadTextForm(Expr* text, Oid type, Oid collation) {
  if (type == XMLOID)
    return reinterpret_cast<Expr*>(
        makeRelabelType(text, type, -1, collation, COERCE_EXPLICIT_CAST));
  auto* conversion = makeNode(CoerceViaIO);
  conversion->arg = text;
  conversion->resulttype = type;
  conversion->resultcollid = collation;
  conversion->coerceformat = COERCE_EXPLICIT_CAST;
  conversion->location = -1;
  return reinterpret_cast<Expr*>(conversion);
}

void RestoreColumns(Query* query, const Query* original) {
  List* expected = ResultColumns(original);
  List* actual = ResultColumns(query);
  if (list_length(expected) != list_length(actual))
    elog(ERROR, "%d columns instead of %d", list_length(actual), list_length(expected));
  ListCell *a, *b;
  forboth(a, expected, b, actual) {
    auto* column = lfirst_node(TargetEntry, a);
    auto* restored = lfirst_node(TargetEntry, b);
    auto* expression = reinterpret_cast<Node*>(column->expr);
    Oid type = exprType(reinterpret_cast<Node*>(restored->expr));
    restored->resname = column->resname;
    if (type == exprType(expression)) continue;
    if (type != TEXTOID)
      elog(ERROR, "column \"%s\" has type %u instead of %u", column->resname, type,
           exprType(expression));
    restored->expr = ReadTextForm(restored->expr, exprType(expression), exprCollation(expression));
  }
}

bool Normalise(Node* node, void*) {
  if (!node) return false;
  if (IsA(node, Query)) {
    auto* query = reinterpret_cast<Query*>(node);
    query->queryId = 0;
    query->canSetTag = false;
    query->querySource = QSRC_ORIGINAL;
    query->stmt_location = query->stmt_len = 0;
    query->withCheckOptions = NIL;
    ListCell* cell;
    foreach (cell, query->rtable) {
      auto* entry = lfirst_node(RangeTblEntry, cell);
      entry->alias = nullptr;
      entry->eref = makeAlias("", NIL);
      entry->inFromCl = false;
    }
    return WalkQuery<void>(query, Normalise, nullptr, QTW_EXAMINE_RTES_BEFORE);
  }
  if (IsA(node, RangeTblEntry)) return false;
  if (IsA(node, JoinExpr)) {
    reinterpret_cast<JoinExpr*>(node)->alias = nullptr;
    reinterpret_cast<JoinExpr*>(node)->isNatural = false;
  }
  return WalkExpression<void>(node, Normalise, nullptr);
}

}  // namespace

Query* Reparse(const TravellingStatement* statement, const Query* original) {
  int count = list_length(statement->parameters);
  auto* types = static_cast<Oid*>(palloc0(sizeof(Oid) * Max(count, 1)));
  int index = 0;
  ListCell* cell;
  foreach (cell, statement->parameters) {
    Oid type = exprType(static_cast<Node*>(lfirst(cell)));
    types[index++] = IsSameOnEveryNode(type) ? type : InvalidOid;
  }
  auto* raw = linitial_node(RawStmt, raw_parser(statement->sql, RAW_PARSE_DEFAULT));
  List* rewritten =
      pg_rewrite_query(parse_analyze_varparams(raw, statement->sql, &types, &count, nullptr));
  if (list_length(rewritten) != 1)
    elog(ERROR, "the text is rewritten to %d statements", list_length(rewritten));
  auto* query = reinterpret_cast<Query*>(
      Substitute(static_cast<Node*>(linitial(rewritten)), statement->parameters));
  RestoreColumns(query, original);
  query->queryId = original->queryId;
  query->canSetTag = original->canSetTag;
  query->querySource = original->querySource;
  query->stmt_location = original->stmt_location;
  query->stmt_len = original->stmt_len;
  return query;
}

bool IsSameTree(const Query* left, const Query* right) {
  auto* a = static_cast<Node*>(copyObjectImpl(left));
  auto* b = static_cast<Node*>(copyObjectImpl(right));
  Normalise(a, nullptr);
  Normalise(b, nullptr);
  return equal(a, b);
}

}  // namespace teamscale::round_trip

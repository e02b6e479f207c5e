// Conditions of WHERE and ON: which columns they pin, and along which they pass pins on.
#include "teamscale/postgres/sharding/pin_analysis.h"
#include "teamscale/postgres/sharding/pin_clause.h"
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

int NumberColumn(Analysis* analysis, Query* query, int entry, AttrNumber attribute) {
  for (int i = 0; i < analysis->columns.count; ++i) {
    const Column& known = analysis->columns.items[i];
    if (known.query == query && known.entry == entry && known.attribute == attribute) return i;
  }
  analysis->wanted.Add(core::kIdentity);
  return analysis->columns.Add({query, entry, attribute});
}

namespace {

// The column that a Var stands for, through the aliases of joins; -1 when it is a merged column of
// a FULL JOIN or no column of its own.
int ColumnOfVar(Analysis* analysis, Level* level, const Var* var) {
  for (Index up = var->varlevelsup; up > 0; --up) {
    if (!level->outer) return -1;
    level = level->outer;
  }
  const RangeTblEntry* entry = rt_fetch(var->varno, level->query->rtable);
  if (entry->rtekind == RTE_JOIN) {
    if (var->varattno <= 0) return -1;
    auto* alias = static_cast<Node*>(list_nth(entry->joinaliasvars, var->varattno - 1));
    Node* stripped = StripEqualCasts(alias);
    if (!stripped || !IsA(stripped, Var)) return -1;
    return ColumnOfVar(analysis, level, castNode(Var, stripped));
  }
  if (var->varattno <= 0) return -1;
  return NumberColumn(analysis, level->query, var->varno, var->varattno);
}

}  // namespace

int ColumnOf(Analysis* analysis, Level* level, Node* expression) {
  Node* stripped = StripEqualCasts(expression);
  return stripped && IsA(stripped, Var) ? ColumnOfVar(analysis, level, castNode(Var, stripped))
                                        : -1;
}

bool MayPin(const Scope& scope, const Analysis* analysis, int column) {
  const Column& c = analysis->columns.items[column];
  if (c.query != scope.level->query) return false;
  return !scope.pinnable || bms_is_member(c.entry, scope.pinnable);
}

namespace {

void Connect(Analysis* analysis, const Scope& scope, int left, int right, Equality equality) {
  if (left < 0 || right < 0 || left == right) return;
  if (MayPin(scope, analysis, right)) analysis->edges.Add({left, right, equality});
  if (MayPin(scope, analysis, left)) analysis->edges.Add({right, left, equality});
}

}  // namespace

void Seed(Analysis* analysis, int column, Expr* value, bool is_array, Equality equality) {
  analysis->seeds.Add({column, analysis->values.Add({value, is_array, 0}), equality});
}

namespace {

// x = ANY (SELECT ...): the column is the subquery's output.
void ConnectAnySublink(Analysis* analysis, const Scope& scope, const SubLink* sublink) {
  auto* query = castNode(Query, sublink->subselect);
  if (!sublink->testexpr || query->commandType != CMD_SELECT) return;
  List* tests = IsA(sublink->testexpr, BoolExpr) ? castNode(BoolExpr, sublink->testexpr)->args
                                                 : list_make1(sublink->testexpr);
  ListCell* cell;
  foreach (cell, tests) {
    PinClause clause;
    if (!ReadPinClause(static_cast<Node*>(lfirst(cell)), &clause) || clause.is_array) continue;
    Node* parameter = StripEqualCasts(clause.right);
    if (!IsA(parameter, Param) || castNode(Param, parameter)->paramkind != PARAM_SUBLINK) continue;
    TargetEntry* output = get_tle_by_resno(query->targetList, castNode(Param, parameter)->paramid);
    int outside = ColumnOf(analysis, scope.level, clause.left);
    if (output && outside >= 0)
      TieOutput(analysis, query, scope.level, output, outside, clause.equality,
                MayPin(scope, analysis, outside), true);
  }
}

// The value that one of the ANDed conditions compares the column with, or null.
Expr* ValueInConditions(Analysis* analysis, Level* level, Node* condition, int column,
                        Equality equality) {
  ListCell* cell;
  foreach (cell, make_ands_implicit(reinterpret_cast<Expr*>(condition))) {
    PinClause clause;
    if (!ReadPinClause(static_cast<Node*>(lfirst(cell)), &clause) || clause.is_array ||
        clause.equality != equality)
      continue;
    if (ColumnOf(analysis, level, clause.left) == column && CanPin(clause.right))
      return reinterpret_cast<Expr*>(clause.right);
    if (ColumnOf(analysis, level, clause.right) == column && CanPin(clause.left))
      return reinterpret_cast<Expr*>(clause.left);
  }
  return nullptr;
}

// k = 1 AND a OR k = 2 AND b, as (k, x) IN ((1, a), (2, b)) becomes: what every alternative
// compares with a value is pinned to the set of these values.
void AddAlternatives(Analysis* analysis, const Scope& scope, List* alternatives) {
  ListCell *cell, *other;
  foreach (cell, make_ands_implicit(static_cast<Expr*>(linitial(alternatives)))) {
    PinClause clause;
    if (!ReadPinClause(static_cast<Node*>(lfirst(cell)), &clause) || clause.is_array) continue;
    int column = ColumnOf(analysis, scope.level, clause.left);
    if (column < 0) column = ColumnOf(analysis, scope.level, clause.right);
    if (column < 0 || !MayPin(scope, analysis, column)) continue;
    List* values = NIL;
    foreach (other, alternatives) {
      Expr* value = ValueInConditions(analysis, scope.level, static_cast<Node*>(lfirst(other)),
                                      column, clause.equality);
      if (!value) break;
      values = lappend(values, value);
    }
    if (list_length(values) != list_length(alternatives)) continue;
    if (Expr* array = ArrayOfValues(values)) Seed(analysis, column, array, true, clause.equality);
  }
}

}  // namespace

// One ANDed condition that rows must satisfy.
void AddCondition(Analysis* analysis, const Scope& scope, Node* condition) {
  if (!condition) return;
  if (IsA(condition, List)) {
    ListCell* cell;
    foreach (cell, castNode(List, condition))
      AddCondition(analysis, scope, static_cast<Node*>(lfirst(cell)));
    return;
  }
  if (IsA(condition, BoolExpr) && castNode(BoolExpr, condition)->boolop == AND_EXPR) {
    AddCondition(analysis, scope, reinterpret_cast<Node*>(castNode(BoolExpr, condition)->args));
    return;
  }
  if (IsA(condition, BoolExpr) && castNode(BoolExpr, condition)->boolop == OR_EXPR) {
    AddAlternatives(analysis, scope, castNode(BoolExpr, condition)->args);
    return;
  }
  if (IsA(condition, SubLink) && castNode(SubLink, condition)->subLinkType == ANY_SUBLINK) {
    ConnectAnySublink(analysis, scope, castNode(SubLink, condition));
    return;
  }
  PinClause clause;
  if (!ReadPinClause(condition, &clause)) return;
  int left = ColumnOf(analysis, scope.level, clause.left);
  int right = clause.is_array ? -1 : ColumnOf(analysis, scope.level, clause.right);
  if (left >= 0 && right >= 0) {
    Connect(analysis, scope, left, right, clause.equality);
    return;
  }
  if (left >= 0 && CanPin(clause.right) && MayPin(scope, analysis, left))
    Seed(analysis, left, reinterpret_cast<Expr*>(clause.right), clause.is_array, clause.equality);
  if (right >= 0 && CanPin(clause.left) && MayPin(scope, analysis, right))
    Seed(analysis, right, reinterpret_cast<Expr*>(clause.left), false, clause.equality);
}

Bitmapset* EntriesBelow(Node* node) {
  if (IsA(node, RangeTblRef)) return bms_make_singleton(castNode(RangeTblRef, node)->rtindex);
  Bitmapset* entries = nullptr;
  if (IsA(node, FromExpr)) {
    ListCell* cell;
    foreach (cell, castNode(FromExpr, node)->fromlist)
      entries = bms_join(entries, EntriesBelow(static_cast<Node*>(lfirst(cell))));
    return entries;
  }
  auto* join = castNode(JoinExpr, node);
  return bms_join(EntriesBelow(join->larg), EntriesBelow(join->rarg));
}

void AddJoinTree(Analysis* analysis, Level* level, Node* node) {
  if (!node || IsA(node, RangeTblRef)) return;
  if (IsA(node, FromExpr)) {
    auto* from = castNode(FromExpr, node);
    ListCell* cell;
    foreach (cell, from->fromlist) AddJoinTree(analysis, level, static_cast<Node*>(lfirst(cell)));
    AddCondition(analysis, {level, nullptr}, from->quals);
    return;
  }
  auto* join = castNode(JoinExpr, node);
  AddJoinTree(analysis, level, join->larg);
  AddJoinTree(analysis, level, join->rarg);
  if (join->jointype == JOIN_INNER)
    AddCondition(analysis, {level, nullptr}, join->quals);
  else if (join->jointype == JOIN_LEFT)
    AddCondition(analysis, {level, EntriesBelow(join->rarg)}, join->quals);
  else if (join->jointype == JOIN_RIGHT)
    AddCondition(analysis, {level, EntriesBelow(join->larg)}, join->quals);
}

}  // namespace teamscale::pin_analysis

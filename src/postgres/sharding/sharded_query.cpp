// The analysis walks the query's levels once. It numbers the columns that conditions compare (keys
// of sharded tables, columns of subqueries, any others), collects seeds and edges for the pin graph
// (core/sharding/pin_graph.h), and asks it for the pin of every sharded table's key.
#include "teamscale/postgres/sharding/sharded_query.h"

#include "teamscale/core/sharding/pin_graph.h"
#include "teamscale/postgres/boundary/tree.h"
#include "teamscale/postgres/sharding/ddl_guard.h"
#include "teamscale/postgres/sharding/key_router.h"
#include "teamscale/postgres/sharding/pin_clause.h"

extern "C" {
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

using core::Equality;

// A level of the query, and the level around it.
struct Level {
  Query* query;
  Level* outer;
};

struct Column {
  Query* query;
  int entry;  // index in its range table
  AttrNumber attribute;
};

// What a column is pinned to: an expression, or the bucket of a leaf that the query names itself
// (a foreign key's check does): then its group is given instead.
struct Value {
  Expr* expression;
  bool is_array;
  core::GroupId leaf_group;
};

// A key that must be pinned: of a sharded table that the query names, or one that it writes.
struct Reference {
  Oid relation;
  int column;
};

struct CommonTable {
  Query* level;
  const char* name;
  Query* query;
  bool recursive;
};

template <typename T>
struct Array {
  T* items;
  int count;
  int capacity;

  int Add(T item) {
    if (count == capacity) {
      capacity = capacity ? capacity * 2 : 16;
      items = static_cast<T*>(items ? repalloc(items, sizeof(T) * capacity)
                                    : palloc(sizeof(T) * capacity));
    }
    items[count] = item;
    return count++;
  }
};

struct Analysis {
  const core::ShardMap* map;
  Array<Column> columns;
  Array<Equality> wanted;
  Array<Value> values;
  Array<core::PinSeed> seeds;
  Array<core::PinEdge> edges;
  Array<Reference> references;
  Array<CommonTable> common_tables;
  const char* obstacle;
  const char* hint;
  bool names_other_tables;
};

void AnalyzeLevel(Analysis* analysis, Query* query, Level* outer);

void Obstruct(Analysis* analysis, const char* obstacle, const char* hint) {
  if (analysis->obstacle) return;
  analysis->obstacle = obstacle;
  analysis->hint = hint;
}

bool IsSharded(const Analysis* analysis, const RangeTblEntry* entry) {
  return entry->rtekind == RTE_RELATION && analysis->map->FindTable(entry->relid);
}

// --- Columns
// ----------------------------------------------------------------------------------------

int NumberColumn(Analysis* analysis, Query* query, int entry, AttrNumber attribute) {
  for (int i = 0; i < analysis->columns.count; ++i) {
    const Column& known = analysis->columns.items[i];
    if (known.query == query && known.entry == entry && known.attribute == attribute) return i;
  }
  analysis->wanted.Add(core::kIdentity);
  return analysis->columns.Add({query, entry, attribute});
}

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

int ColumnOf(Analysis* analysis, Level* level, Node* expression) {
  Node* stripped = StripEqualCasts(expression);
  return stripped && IsA(stripped, Var) ? ColumnOfVar(analysis, level, castNode(Var, stripped))
                                        : -1;
}

// --- Conditions
// -------------------------------------------------------------------------------------

// Which tables of the level a condition may pin: all, or those of one side of an outer join. Outer
// levels' columns are never pinned from within.
struct Scope {
  Level* level;
  Bitmapset* pinnable;  // null: all of the level
};

bool MayPin(const Scope& scope, const Analysis* analysis, int column) {
  const Column& c = analysis->columns.items[column];
  if (c.query != scope.level->query) return false;
  return !scope.pinnable || bms_is_member(c.entry, scope.pinnable);
}

void Connect(Analysis* analysis, const Scope& scope, int left, int right, Equality equality) {
  if (left < 0 || right < 0 || left == right) return;
  if (MayPin(scope, analysis, right)) analysis->edges.Add({left, right, equality});
  if (MayPin(scope, analysis, left)) analysis->edges.Add({right, left, equality});
}

void Seed(Analysis* analysis, int column, Expr* value, bool is_array, Equality equality) {
  analysis->seeds.Add({column, analysis->values.Add({value, is_array, 0}), equality});
}

void TieOutput(Analysis* analysis, Query* inner_query, Level* level, const TargetEntry* output,
               int outside, Equality equality, bool outward, bool inward);

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

Expr* ArrayOfValues(List* values);

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

// --- Subqueries and other sources
// -------------------------------------------------------------------

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

// The values of one column of a VALUES list.
List* ColumnOfRows(List* rows, int column) {
  List* values = NIL;
  ListCell* cell;
  foreach (cell, rows) values = lappend(values, list_nth(static_cast<List*>(lfirst(cell)), column));
  return values;
}

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

void AddReference(Analysis* analysis, Oid relation, int column) {
  const KeyRouter* router = GetKeyRouter(relation);
  analysis->references.Add({relation, column});
  analysis->wanted.items[column] = EqualityOfKey(router);
}

// A leaf holds the rows of one bucket, on this node.
void AddLeaf(Analysis* analysis, Level* level, int index, Oid leaf, const core::Table* table) {
  const KeyRouter* router = GetKeyRouter(table->relation);
  AttrNumber key = get_attnum(leaf, get_attname(table->relation, KeyAttribute(router), false));
  int column = NumberColumn(analysis, level->query, index, key);
  int value = analysis->values.Add({nullptr, false, table->group});
  analysis->seeds.Add({column, value, EqualityOfKey(router)});
}

void AddEntry(Analysis* analysis, Level* level, int index) {
  RangeTblEntry* entry = rt_fetch(index, level->query->rtable);
  switch (entry->rtekind) {
    case RTE_RELATION:
      if (IsSharded(analysis, entry)) {
        const KeyRouter* router = GetKeyRouter(entry->relid);
        AddReference(analysis, entry->relid,
                     NumberColumn(analysis, level->query, index, KeyAttribute(router)));
      } else if (const core::Table* table = ShardedTableOf(entry->relid)) {
        AddLeaf(analysis, level, index, entry->relid, table);
      } else if (entry->relkind != RELKIND_VIEW) {
        analysis->names_other_tables = true;
      }
      AddCondition(analysis, {level, nullptr}, reinterpret_cast<Node*>(entry->securityQuals));
      break;
    case RTE_SUBQUERY:
      AnalyzeLevel(analysis, entry->subquery, level);
      TieOutputs(analysis, level, index, entry->subquery, true);
      break;
    case RTE_VALUES:
      AddValues(analysis, level, index, entry->values_lists);
      break;
    case RTE_CTE: {
      Level* defining = level;
      for (Index up = entry->ctelevelsup; up > 0 && defining; --up) defining = defining->outer;
      for (int i = 0; defining && i < analysis->common_tables.count; ++i) {
        const CommonTable& table = analysis->common_tables.items[i];
        if (table.level == defining->query && strcmp(table.name, entry->ctename) == 0 &&
            !table.recursive)
          TieOutputs(analysis, level, index, table.query, false);
      }
      break;
    }
    case RTE_NAMEDTUPLESTORE:
      analysis->names_other_tables = true;
      break;
    default:
      break;
  }
}

// --- Writes
// -----------------------------------------------------------------------------------------

// The key of a row that the statement writes must be pinned like what it reads. Gives the column of
// the value written, or -1 when the key is not written.
int AddWrittenKey(Analysis* analysis, Level* level, Oid relation, List* target_list, bool insert) {
  const KeyRouter* router = GetKeyRouter(relation);
  ListCell* cell;
  foreach (cell, target_list) {
    auto* target = lfirst_node(TargetEntry, cell);
    if (target->resjunk || target->resno != KeyAttribute(router)) continue;
    auto* expression = reinterpret_cast<Node*>(target->expr);
    int column = ColumnOf(analysis, level, expression);
    if (column < 0) {
      // A column of its own for this value; entry 0 is no range table entry.
      column =
          NumberColumn(analysis, level->query, 0, static_cast<AttrNumber>(analysis->columns.count));
      if (CanPin(expression)) Seed(analysis, column, target->expr, false, core::kIdentity);
    }
    AddReference(analysis, relation, column);
    return column;
  }
  if (!insert) return -1;
  return AddWrittenKey(analysis, level, relation,
                       list_make1(makeTargetEntry(reinterpret_cast<Expr*>(makeNullConst(
                                                      KeyType(router), -1, KeyCollation(router))),
                                                  KeyAttribute(router), nullptr, false)),
                       false);
}

// What checks, policies and ON CONFLICT say of the new row, of EXCLUDED and of the row in conflict:
// all have the key that the INSERT writes, as every unique index has the key in it.
void AddInsert(Analysis* analysis, Level* level, Oid relation) {
  Query* query = level->query;
  AttrNumber key = KeyAttribute(GetKeyRouter(relation));
  int written = AddWrittenKey(analysis, level, relation, query->targetList, true);
  analysis->edges.Add(
      {written, NumberColumn(analysis, query, query->resultRelation, key), core::kIdentity});
  if (!query->onConflict) return;
  analysis->edges.Add({written, NumberColumn(analysis, query, query->onConflict->exclRelIndex, key),
                       core::kIdentity});
  AddWrittenKey(analysis, level, relation, query->onConflict->onConflictSet, false);
}

void AddWrite(Analysis* analysis, Level* level) {
  Query* query = level->query;
  if (query->resultRelation == 0) return;
  RangeTblEntry* target = rt_fetch(query->resultRelation, query->rtable);
  if (!IsSharded(analysis, target)) {
    analysis->names_other_tables = true;
    return;
  }
  switch (query->commandType) {
    case CMD_INSERT:
      AddInsert(analysis, level, target->relid);
      break;
    case CMD_UPDATE:
      AddWrittenKey(analysis, level, target->relid, query->targetList, false);
      break;
    case CMD_MERGE: {
      ListCell* cell;
      foreach (cell, query->mergeActionList) {
        auto* action = lfirst_node(MergeAction, cell);
        if (action->commandType == CMD_INSERT || action->commandType == CMD_UPDATE)
          AddWrittenKey(analysis, level, target->relid, action->targetList,
                        action->commandType == CMD_INSERT);
      }
      break;
    }
    default:
      break;
  }
}

// --- The walk
// ---------------------------------------------------------------------------------------

struct Place {
  Analysis* analysis;
  Level* level;
};

// Finds the subqueries in a level's expressions, and what cannot be sent to another node.
bool FindSubqueries(Node* node, Place* place) {
  if (!node || IsA(node, Query)) return false;
  if (IsA(node, SubLink)) {
    auto* sublink = castNode(SubLink, node);
    AnalyzeLevel(place->analysis, castNode(Query, sublink->subselect), place->level);
    return FindSubqueries(sublink->testexpr, place);
  }
  if (IsA(node, CurrentOfExpr))
    Obstruct(place->analysis, "WHERE CURRENT OF names a cursor of this session.",
             "Name the row by its key.");
  return WalkExpression(node, FindSubqueries, place);
}

void AnalyzeLevel(Analysis* analysis, Query* query, Level* outer) {
  check_stack_depth();
  Level level = {query, outer};
  Place place = {analysis, &level};

  ListCell* cell;
  foreach (cell, query->cteList) {
    auto* table = lfirst_node(CommonTableExpr, cell);
    auto* inner = castNode(Query, table->ctequery);
    analysis->common_tables.Add({query, table->ctename, inner, table->cterecursive});
    AnalyzeLevel(analysis, inner, &level);
  }

  // Only entries that are joined or written count: a view's own entry stays in the range table.
  Bitmapset* used = nullptr;
  if (query->jointree) used = EntriesBelow(reinterpret_cast<Node*>(query->jointree));
  // The rows of an INSERT's target are not read: its written key decides.
  if (query->resultRelation && query->commandType != CMD_INSERT)
    used = bms_add_member(used, query->resultRelation);
  if (query->setOperations) {
    for (int i = 1; i <= list_length(query->rtable); ++i)
      if (rt_fetch(i, query->rtable)->rtekind == RTE_SUBQUERY) used = bms_add_member(used, i);
  }
  for (int index = -1; (index = bms_next_member(used, index)) >= 0;)
    AddEntry(analysis, &level, index);

  if (query->commandType == CMD_MERGE && query->jointree) {
    // The source is kept whole: rows that match nothing are inserted.
    ListCell* source;
    foreach (source, query->jointree->fromlist)
      AddJoinTree(analysis, &level, static_cast<Node*>(lfirst(source)));
    AddCondition(analysis, {&level, bms_make_singleton(query->resultRelation)},
                 query->jointree->quals);
  } else {
    AddJoinTree(analysis, &level, reinterpret_cast<Node*>(query->jointree));
  }
  AddWrite(analysis, &level);
  WalkQuery(query, FindSubqueries, &place, QTW_IGNORE_RT_SUBQUERIES | QTW_IGNORE_CTE_SUBQUERIES);
}

bool FindShardedTable(Node* node, const core::ShardMap* map) {
  if (!node) return false;
  if (IsA(node, Query))
    return WalkQuery(castNode(Query, node), FindShardedTable, map, QTW_EXAMINE_RTES_BEFORE);
  if (IsA(node, RangeTblEntry)) {
    auto* entry = castNode(RangeTblEntry, node);
    return entry->rtekind == RTE_RELATION && map->FindTable(entry->relid);
  }
  return WalkExpression(node, FindShardedTable, map);
}

bool ReadWholeWalker(Node* node, const core::ShardMap* map) {
  if (!node) return false;
  if (IsA(node, Query)) {
    ReadWholeTables(castNode(Query, node), map);
    return false;
  }
  return WalkExpression(node, ReadWholeWalker, map);
}

void AddPin(ShardedQuery* result, Oid relation, const Value& value) {
  ListCell* cell;
  foreach (cell, result->pins) {
    auto* known = static_cast<KeyPin*>(lfirst(cell));
    if (known->relation == relation && known->is_array == value.is_array &&
        equal(known->value, value.expression))
      return;
  }
  auto* pin = static_cast<KeyPin*>(palloc(sizeof(KeyPin)));
  *pin = {relation, value.expression, value.is_array};
  result->pins = lappend(result->pins, pin);
}

// The bucket of a leaf says nothing of the rows of a table that is not colocated.
bool IsOfGroup(const Analysis* analysis, const Reference& reference, const Value& value) {
  return value.expression ||
         analysis->map->FindTable(reference.relation)->group == value.leaf_group;
}

const char* KeyName(Oid relation) {
  return get_attname(relation, KeyAttribute(GetKeyRouter(relation)), false);
}

}  // namespace

bool NamesShardedTable(Query* query, const core::ShardMap* map) {
  return FindShardedTable(reinterpret_cast<Node*>(query), map);
}

void ReadWholeTables(Query* query, const core::ShardMap* map) {
  int index = 0;
  ListCell* cell;
  foreach (cell, query->rtable) {
    auto* entry = lfirst_node(RangeTblEntry, cell);
    // An INSERT's target is never read.
    bool is_target = ++index == query->resultRelation && query->commandType == CMD_INSERT;
    if (entry->rtekind == RTE_RELATION && map->FindTable(entry->relid) && !is_target)
      entry->inh = true;
  }
  WalkQuery(query, ReadWholeWalker, map);
}

ShardedQuery* AnalyzeShardedQuery(Query* query, const core::ShardMap* map) {
  if (!NamesShardedTable(query, map)) return nullptr;
  Analysis analysis = {};
  analysis.map = map;
  AnalyzeLevel(&analysis, query, nullptr);

  auto* pins = static_cast<core::Pin*>(palloc(sizeof(core::Pin) * (analysis.columns.count + 1)));
  for (int i = 0; i < analysis.columns.count; ++i) pins[i] = core::Pin();
  auto count = [](int n) { return static_cast<std::size_t>(n); };
  core::PropagatePins({analysis.seeds.items, count(analysis.seeds.count)},
                      {analysis.edges.items, count(analysis.edges.count)},
                      {analysis.wanted.items, count(analysis.wanted.count)},
                      {pins, count(analysis.columns.count)});

  auto* result = static_cast<ShardedQuery*>(palloc0(sizeof(ShardedQuery)));
  result->names_other_tables = analysis.names_other_tables;
  result->obstacle = analysis.obstacle;
  result->hint = analysis.hint;
  for (int i = 0; i < analysis.references.count; ++i) {
    const Reference& reference = analysis.references.items[i];
    int value = pins[reference.column].value;
    if (value != core::kUnpinned && IsOfGroup(&analysis, reference, analysis.values.items[value])) {
      AddPin(result, reference.relation, analysis.values.items[value]);
    } else if (!result->obstacle) {
      result->obstacle = psprintf("Table \"%s\" is not restricted to one value of its key \"%s\".",
                                  get_rel_name(reference.relation), KeyName(reference.relation));
      result->hint = psprintf(
          "Compare \"%s\" with a constant, a parameter or a stable expression, or "
          "join it with a table where it is.",
          KeyName(reference.relation));
    }
  }
  return result;
}

}  // namespace teamscale

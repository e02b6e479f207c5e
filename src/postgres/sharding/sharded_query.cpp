// The analysis walks the query's levels once. It numbers the columns that conditions compare (keys
// of sharded tables, columns of subqueries, any others), collects seeds and edges for the pin graph
// (core/sharding/pin_graph.h), and asks it for the pin of every sharded table's key.
#include "teamscale/postgres/sharding/sharded_query.h"

#include "teamscale/postgres/boundary/tree.h"
#include "teamscale/postgres/sharding/ddl_guard.h"
#include "teamscale/postgres/sharding/key_router.h"
#include "teamscale/postgres/sharding/pin_analysis.h"
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

using namespace pin_analysis;

void AnalyzeLevel(Analysis* analysis, Query* query, Level* outer);

void Obstruct(Analysis* analysis, const char* obstacle, const char* hint) {
  if (analysis->obstacle) return;
  analysis->obstacle = obstacle;
  analysis->hint = hint;
}

bool IsSharded(const Analysis* analysis, const RangeTblEntry* entry) {
  return entry->rtekind == RTE_RELATION && analysis->map->FindTable(entry->relid);
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

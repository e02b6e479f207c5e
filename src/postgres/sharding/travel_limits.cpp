#include "teamscale/postgres/sharding/travel_limits.h"

#include "teamscale/postgres/boundary/tree.h"
#include "teamscale/postgres/sharding/hoisting.h"
#include "teamscale/postgres/sharding/view_folding.h"

extern "C" {
#include "access/sysattr.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

[[noreturn]] void RefuseTable(const RangeTblEntry* entry) {
  char* name = get_rel_name(entry->relid);
  if (entry->relid < FirstNormalObjectId)
    ereport(ERROR,
            (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
             errmsg("system catalog \"%s\" cannot be used in a statement that runs on another node",
                    name),
             errdetail("Each node has its own catalog."),
             errhint("Query the catalog in a statement of its own.")));
  ereport(ERROR,
          (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("table \"%s\" is not sharded", name),
           errdetail("The table exists on this node only; the statement runs on another."),
           errhint("Shard it with teamscale.distribute_table(), or read it in a statement of "
                   "its own.")));
}

[[noreturn]] void RefuseViewTarget(const RangeTblEntry* entry) {
  ereport(ERROR,
          (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
           errmsg("cannot write through view \"%s\" to another node", get_rel_name(entry->relid)),
           errdetail("The rights of the view's owner and its check options would be lost."),
           errhint("Write to the table itself.")));
}

[[noreturn]] void RefuseTemporary(const char* kind, const char* name) {
  ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                  errmsg("%s \"%s\" is temporary: it does not exist on other nodes", kind, name),
                  errhint("Create it in a permanent schema, on every node.")));
}

struct TableCheck {
  IsEverywhere is_everywhere;
  bool in_view = false;    // within the query of a view, at its top
  bool in_search = false;  // within SEARCH or CYCLE, which make rows of their own
};

bool IsPlaceholderOfView(const RangeTblEntry* entry, int index) {
  return entry->relkind == RELKIND_VIEW && index < 2 && !entry->inFromCl;
}

// REFRESH plans the query of a materialized view, which has such placeholders too.
bool IsPlaceholderOfMaterializedView(const RangeTblEntry* entry, int index) {
  return entry->relkind == RELKIND_MATVIEW && index < 2 && !entry->inFromCl;
}

void CheckEntry(const RangeTblEntry* entry, int index, const TableCheck* check) {
  if (entry->rtekind == RTE_NAMEDTUPLESTORE)
    ereport(ERROR,
            (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
             errmsg("transition table \"%s\" cannot be used in a statement that runs on another "
                    "node",
                    entry->enrname),
             errhint("Loop over the transition table and run one statement for each row.")));
  if (entry->rtekind != RTE_RELATION) return;
  if (entry->relkind == RELKIND_VIEW) {
    if (!(check->in_view && IsPlaceholderOfView(entry, index))) RefuseViewTarget(entry);
  } else if (!check->is_everywhere(entry->relid) &&
             !IsPlaceholderOfMaterializedView(entry, index)) {
    RefuseTable(entry);
  }
}

bool TableWalker(Node* node, TableCheck* check);
void CheckTablesWithin(Query* query, TableCheck* check);

void CheckView(const RangeTblEntry* entry, const RangeTblEntry* view, const TableCheck* check) {
  if (isAnyTempNamespace(get_rel_namespace(view->relid)))
    RefuseTemporary("view", get_rel_name(view->relid));
  TableCheck inside = *check;
  inside.in_view = true;
  CheckTablesWithin(entry->subquery, &inside);
  CheckFunctions(entry->subquery);
}

bool GroupsTwiceByOneExpression(const Query* query) {
  if (!query->groupingSets) return false;
  ListCell *cell, *other;
  foreach (cell, query->targetList) {
    auto* entry = lfirst_node(TargetEntry, cell);
    if (entry->ressortgroupref == 0) continue;
    foreach (other, query->targetList) {
      auto* second = lfirst_node(TargetEntry, other);
      if (second != entry && second->ressortgroupref != 0 && equal(second->expr, entry->expr))
        return true;
    }
  }
  return false;
}

void CheckTablesWithin(Query* query, TableCheck* check) {
  if (query->querySource != QSRC_ORIGINAL && query->querySource != QSRC_PARSER)
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("a rewrite rule cannot run on another node"),
                    errhint("Use a trigger instead of the rule.")));
  if (GroupsTwiceByOneExpression(query))
    ereport(ERROR,
            (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
             errmsg("grouping sets that name the same expression twice cannot run on another node"),
             errhint("Name each grouping expression once.")));
  int index = 0;
  ListCell* cell;
  foreach (cell, query->rtable) {
    auto* entry = lfirst_node(RangeTblEntry, cell);
    if (const RangeTblEntry* view = ExpandedView(entry))
      CheckView(entry, view, check);
    else if (entry->rtekind == RTE_SUBQUERY)
      TableWalker(reinterpret_cast<Node*>(entry->subquery), check);
    else
      CheckEntry(entry, index, check);
    ++index;
  }
  WalkQuery<TableCheck>(query, TableWalker, check, QTW_IGNORE_RT_SUBQUERIES);
}

// JOIN ... USING (...) AS name used as a whole: printed as ROW(...) it would lose its field names.
bool IsRowOfJoin(const RowExpr* row) {
  if (row->row_typeid != RECORDOID || row->row_format != COERCE_IMPLICIT_CAST) return false;
  int number = 0;
  ListCell* cell;
  foreach (cell, row->colnames)
    if (strcmp(strVal(lfirst(cell)), psprintf("f%d", ++number)) != 0) return true;
  return false;
}

bool CheckCommonTable(CommonTableExpr* expression, const TableCheck* check) {
  TableCheck inside = *check;
  inside.in_search |= expression->search_clause || expression->cycle_clause;
  return TableWalker(expression->ctequery, &inside);
}

// The OIDs of tables differ from node to node.
void CheckColumn(const Var* column) {
  if (column->varattno != TableOidAttributeNumber) return;
  ereport(ERROR,
          (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
           errmsg("tableoid cannot be used in a statement that runs on another node"),
           errdetail("Each node numbers its tables itself."),
           errhint("Name the table, or ask teamscale.bucket_of() for the bucket of a key.")));
}

bool TableWalker(Node* node, TableCheck* check) {
  if (!node) return false;
  if (IsA(node, Var)) CheckColumn(reinterpret_cast<Var*>(node));
  if (IsA(node, CommonTableExpr))
    return CheckCommonTable(reinterpret_cast<CommonTableExpr*>(node), check);
  if (IsA(node, RowExpr) && !check->in_search && IsRowOfJoin(reinterpret_cast<RowExpr*>(node)))
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("the alias of JOIN USING cannot be used as a row on another node"),
                    errhint("Name its columns.")));
  if (IsA(node, Query)) {
    TableCheck inside = *check;
    inside.in_view = false;
    CheckTablesWithin(reinterpret_cast<Query*>(node), &inside);
    return false;
  }
  if (IsA(node, CurrentOfExpr))
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("WHERE CURRENT OF cannot be used for a row on another node"),
                    errhint("Name the row by its primary key.")));
  return WalkExpression<TableCheck>(node, TableWalker, check);
}

// The volatile built-in functions that give on another node what they would give here. Of all
// others, answer or effect belongs to this session or this server.
bool MayRunElsewhere(Oid function) {
  switch (function) {
    case F_RANDOM:
    case F_GEN_RANDOM_UUID:
    case F_CLOCK_TIMESTAMP:
    case F_TIMEOFDAY:
    case F_PG_SLEEP:
    case F_PG_SLEEP_FOR:
    case F_PG_SLEEP_UNTIL:
    case F_NEXTVAL:
      return true;
    default:
      return !IsSameOnEveryNode(function) || func_volatile(function) != PROVOLATILE_VOLATILE;
  }
}

bool CheckFunction(Oid function, void*) {
  if (!IsSameOnEveryNode(function) && isAnyTempNamespace(get_func_namespace(function)))
    RefuseTemporary("function", get_func_name(function));
  if (!MayRunElsewhere(function))
    ereport(ERROR,
            (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
             errmsg("function %s() cannot run on another node", get_func_name(function)),
             errdetail("What it does or gives belongs to this session."),
             errhint("Call it in a statement of its own and pass the result as a parameter.")));
  return false;
}

bool FunctionWalker(Node* node, void*) {
  if (!node) return false;
  if (IsA(node, Query)) {
    CheckFunctions(reinterpret_cast<Query*>(node));
    return false;
  }
  check_functions_in_node(node, CheckFunction, nullptr);
  return WalkExpression<void>(node, FunctionWalker, nullptr);
}

bool IsHarmless(Oid function) {
  switch (function) {
    case F_RANDOM:
    case F_GEN_RANDOM_UUID:
    case F_CLOCK_TIMESTAMP:
    case F_TIMEOFDAY:
    case F_PG_SLEEP:
    case F_PG_SLEEP_FOR:
    case F_PG_SLEEP_UNTIL:
      return true;
    default:
      return func_volatile(function) != PROVOLATILE_VOLATILE;
  }
}

bool MayFunctionWrite(Oid function, void*) { return !IsHarmless(function); }

bool WriteWalker(Node* node, void*) {
  if (!node) return false;
  if (IsA(node, Query)) return MayWrite(reinterpret_cast<Query*>(node));
  if (IsA(node, NextValueExpr)) return true;
  if (check_functions_in_node(node, MayFunctionWrite, nullptr)) return true;
  return WalkExpression<void>(node, WriteWalker, nullptr);
}

}  // namespace

void CheckTables(Query* query, IsEverywhere is_everywhere) {
  TableCheck check{is_everywhere};
  CheckTablesWithin(query, &check);
}

void CheckFunctions(Query* query) { WalkQuery<void>(query, FunctionWalker, nullptr); }

bool MayWrite(Query* query) {
  if (query->commandType != CMD_SELECT || query->rowMarks || query->hasModifyingCTE) return true;
  return WalkQuery<void>(query, WriteWalker, nullptr);
}

}  // namespace teamscale

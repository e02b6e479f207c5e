#include "teamscale/postgres/sharding/insert_statement.h"

#include "teamscale/postgres/boundary/tree.h"
#include "teamscale/postgres/sharding/split_insert_nodes.h"
#include "teamscale/postgres/sharding/wire.h"

extern "C" {
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "parser/analyze.h"
#include "parser/parsetree.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

// The statement's own parameters are numbered from 1; those of the columns from here.
constexpr int kFirstArrayParameter = 1 << 20;

struct Column {
  Oid type;
  int32 typmod;
  Oid collation;
};

Column ColumnOf(Oid relation, AttrNumber number) {
  Column column;
  get_atttypetypmodcoll(relation, number, &column.type, &column.typmod, &column.collation);
  return column;
}

// Values stand in an array of their type where that is of a built-in type and travels binary; else
// as text, and are cast.
Oid ArrayTypeOf(const Column& column) {
  Oid array = get_array_type(column.type);
  bool direct = OidIsValid(array) && !OidIsValid(get_element_type(column.type)) &&
                get_typtype(column.type) == TYPTYPE_BASE && TravelsBinary(array);
  return direct ? array : TEXTARRAYOID;
}

// SELECT r.c0, r.c1::type, ... FROM ROWS FROM (unnest($1), unnest($2), ...) AS r(c0, c1, ...)
char* SourceText(Oid relation, List* columns, Oid* array_types) {
  StringInfoData results, arrays, names;
  initStringInfo(&results);
  initStringInfo(&arrays);
  initStringInfo(&names);
  for (int i = 0; i < list_length(columns); ++i) {
    Column column = ColumnOf(relation, static_cast<AttrNumber>(list_nth_int(columns, i)));
    array_types[i] = ArrayTypeOf(column);
    const char* separator = i ? ", " : "";
    appendStringInfo(&results, "%sr.c%d", separator, i);
    if (array_types[i] == TEXTARRAYOID && column.type != TEXTOID)
      appendStringInfo(&results, "::%s",
                       format_type_extended(column.type, column.typmod,
                                            FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
    appendStringInfo(&arrays, "%spg_catalog.unnest($%d)", separator, i + 1);
    appendStringInfo(&names, "%sc%d", separator, i);
  }
  return psprintf("SELECT %s FROM ROWS FROM (%s) AS r(%s)", results.data, arrays.data, names.data);
}

Node* ShiftParameters(Node* node, void*) {
  if (!node) return nullptr;
  if (IsA(node, Param)) {
    auto* shifted = static_cast<Param*>(copyObjectImpl(node));
    shifted->paramid += kFirstArrayParameter - 1;
    return reinterpret_cast<Node*>(shifted);
  }
  if (IsA(node, Query))
    return reinterpret_cast<Node*>(
        MutateQuery<void>(reinterpret_cast<Query*>(node), ShiftParameters, nullptr));
  return MutateExpression<void>(node, ShiftParameters, nullptr);
}

Query* SourceQuery(Oid relation, List* columns) {
  auto* array_types = static_cast<Oid*>(palloc(sizeof(Oid) * (list_length(columns) + 1)));
  char* text = SourceText(relation, columns, array_types);
  auto* raw = static_cast<RawStmt*>(linitial(pg_parse_query(text)));
  Query* query = parse_analyze_fixedparams(raw, text, array_types, list_length(columns), nullptr);
  return reinterpret_cast<Query*>(ShiftParameters(reinterpret_cast<Node*>(query), nullptr));
}

RangeTblEntry* SourceEntry(Query* source) {
  auto* entry = makeNode(RangeTblEntry);
  entry->rtekind = RTE_SUBQUERY;
  entry->subquery = source;
  entry->alias = makeAlias("rows", NIL);
  entry->eref = makeAlias("rows", NIL);
  ListCell* cell;
  foreach (cell, source->targetList)
    entry->eref->colnames =
        lappend(entry->eref->colnames,
                makeString(pstrdup(static_cast<TargetEntry*>(lfirst(cell))->resname)));
  entry->inFromCl = true;
  return entry;
}

List* TargetListFrom(const Query* query, List* columns, Index source) {
  Oid relation = rt_fetch(query->resultRelation, query->rtable)->relid;
  List* target_list = NIL;
  for (int i = 0; i < list_length(columns); ++i) {
    auto number = static_cast<AttrNumber>(list_nth_int(columns, i));
    Column column = ColumnOf(relation, number);
    Var* var = makeVar(source, i + 1, column.type, column.typmod, column.collation, 0);
    target_list =
        lappend(target_list, makeTargetEntry(reinterpret_cast<Expr*>(var), number,
                                             get_attname(relation, number, false), false));
  }
  return target_list;
}

}  // namespace

Param* ArrayParameter(int index, Oid array_type) {
  auto* param = makeNode(Param);
  param->paramkind = PARAM_EXTERN;
  param->paramid = kFirstArrayParameter + index;
  param->paramtype = array_type;
  param->paramtypmod = -1;
  param->paramcollid = get_typcollation(array_type);
  param->location = -1;
  return param;
}

int ArrayParameterIndex(const Node* expression) {
  if (!IsA(expression, Param)) return -1;
  auto* param = reinterpret_cast<const Param*>(expression);
  return param->paramkind == PARAM_EXTERN ? param->paramid - kFirstArrayParameter : -1;
}

TravellingStatement* MakeInsertStatement(const Query* query, List* columns) {
  auto* statement = static_cast<Query*>(copyObjectImpl(query));
  Oid relation = rt_fetch(query->resultRelation, query->rtable)->relid;
  // The source's entries stay in the range table, but what they read does not: only the target, and
  // EXCLUDED, are used otherwise.
  RangeTblEntry* entry = SourceEntry(SourceQuery(relation, columns));
  statement->cteList = NIL;
  statement->rtable = lappend(statement->rtable, entry);
  Index source = list_length(statement->rtable);
  auto* reference = makeNode(RangeTblRef);
  reference->rtindex = static_cast<int>(source);
  ListCell* cell;
  foreach (cell, statement->jointree->fromlist)
    if (IsA(lfirst(cell), RangeTblRef)) {
      auto* old = rt_fetch(static_cast<RangeTblRef*>(lfirst(cell))->rtindex, statement->rtable);
      old->rtekind = RTE_RESULT;
      old->subquery = nullptr;
      old->values_lists = NIL;
    }
  statement->jointree = makeFromExpr(list_make1(reference), nullptr);
  statement->targetList = TargetListFrom(query, columns, source);
  statement->override = OVERRIDING_SYSTEM_VALUE;
  return MakeTravellingStatement(statement);
}

}  // namespace teamscale

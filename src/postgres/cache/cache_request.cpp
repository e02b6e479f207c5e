#include "teamscale/postgres/cache/cache_request.h"

#include "teamscale/postgres/cache/foreign_keys.h"
#include "teamscale/postgres/cache/guards.h"

extern "C" {
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
#include "utils/varlena.h"
}

namespace teamscale {

namespace {

// --- Columns

AttrNumber CheckColumn(Oid table, const char* column) {
  AttrNumber attribute = get_attnum(table, column);
  if (attribute <= 0)
    ereport(ERROR,
            (errcode(ERRCODE_UNDEFINED_COLUMN),
             errmsg("column \"%s\" of table \"%s\" does not exist", column, get_rel_name(table)),
             errhint("Columns are named one after the other, with commas: "
                     "'region, team_id'.")));
  return attribute;
}

List* ColumnsOf(CacheRequest* request, const char* text, const char* argument) {
  List* columns;
  if (!SplitIdentifierString(pstrdup(text), ',', &columns) || columns == NIL)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("%s is no list of columns: \"%s\"", argument, text),
                    errhint("Name columns, with commas between them.")));
  Bitmapset* seen = nullptr;
  ListCell* cell;
  foreach (cell, columns) {
    AttrNumber attribute = CheckColumn(request->table, static_cast<char*>(lfirst(cell)));
    if (bms_is_member(attribute, seen))
      ereport(ERROR, (errcode(ERRCODE_DUPLICATE_COLUMN),
                      errmsg("column \"%s\" is named twice", static_cast<char*>(lfirst(cell)))));
    seen = bms_add_member(seen, attribute);
  }
  request->columns = bms_union(request->columns, seen);
  return columns;
}

void CheckKeyTypes(const CacheRequest* request) {
  if (list_length(request->key) > INDEX_MAX_KEYS)
    ereport(ERROR, (errcode(ERRCODE_TOO_MANY_ARGUMENTS),
                    errmsg("a cache has at most %d key columns", INDEX_MAX_KEYS)));
  ListCell* cell;
  foreach (cell, request->key) {
    auto* column = static_cast<const char*>(lfirst(cell));
    Oid type = get_atttype(request->table, get_attnum(request->table, column));
    TypeCacheEntry* types = lookup_type_cache(type, TYPECACHE_EQ_OPR | TYPECACHE_HASH_PROC);
    if (OidIsValid(types->eq_opr) && OidIsValid(types->hash_proc)) continue;
    ereport(ERROR,
            (errcode(ERRCODE_DATATYPE_MISMATCH), errmsg("column \"%s\" cannot be a key", column),
             errdetail("Type %s has no hash function.", format_type_be(type))));
  }
}

// One key, one owner: otherwise its rows would be in several databases.
void CheckForeignKey(const CacheRequest* request) {
  const char* column = ForeignKeyColumn(request->table);
  if (!column) return;
  ListCell* cell;
  foreach (cell, request->key)
    if (strcmp(static_cast<const char*>(lfirst(cell)), column) == 0) return;
  ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                  errmsg("the key must have column \"%s\"", column),
                  errdetail("Table \"%s\" is sharded by it: rows of one key would be on several "
                            "nodes.",
                            get_rel_name(request->table))));
}

// --- Order

[[noreturn]] void RefuseOrder(const char* text) {
  ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                  errmsg("order_by is no list of columns: \"%s\"", text),
                  errhint("Name columns, each with ASC or DESC and NULLS FIRST or LAST where "
                          "wanted.")));
  pg_unreachable();
}

const char* ColumnOfSort(const SortBy* sort, const char* text) {
  if (!IsA(sort->node, ColumnRef) || sort->useOp != NIL) RefuseOrder(text);
  List* fields = reinterpret_cast<ColumnRef*>(sort->node)->fields;
  if (list_length(fields) != 1 || !IsA(linitial(fields), String)) RefuseOrder(text);
  return strVal(linitial(fields));
}

char* CanonicalOrder(CacheRequest* request, const char* text) {
  auto* raw =
      linitial_node(RawStmt, raw_parser(psprintf("SELECT 1 ORDER BY %s", text), RAW_PARSE_DEFAULT));
  auto* select = reinterpret_cast<SelectStmt*>(raw->stmt);
  if (!IsA(select, SelectStmt) || select->op != SETOP_NONE || select->limitCount ||
      select->limitOffset || select->lockingClause)
    RefuseOrder(text);
  StringInfoData canonical;
  initStringInfo(&canonical);
  ListCell* cell;
  foreach (cell, select->sortClause) {
    auto* sort = lfirst_node(SortBy, cell);
    const char* column = ColumnOfSort(sort, text);
    request->columns = bms_add_member(request->columns, CheckColumn(request->table, column));
    appendStringInfo(&canonical, "%s%s%s%s", canonical.len ? ", " : "", quote_identifier(column),
                     sort->sortby_dir == SORTBY_DESC ? " DESC" : "",
                     sort->sortby_nulls == SORTBY_NULLS_FIRST  ? " NULLS FIRST"
                     : sort->sortby_nulls == SORTBY_NULLS_LAST ? " NULLS LAST"
                                                               : "");
  }
  return canonical.data;
}

// --- Filter

Node* ParseCondition(Relation table, const char* text) {
  List* parsed = raw_parser(text, RAW_PARSE_PLPGSQL_EXPR);
  auto* select = reinterpret_cast<SelectStmt*>(linitial_node(RawStmt, parsed)->stmt);
  bool plain = list_length(parsed) == 1 && IsA(select, SelectStmt) && select->op == SETOP_NONE &&
               list_length(select->targetList) == 1 && !select->fromClause &&
               !select->whereClause && !select->groupClause && !select->havingClause &&
               !select->sortClause && !select->limitCount && !select->limitOffset &&
               !select->distinctClause && !select->windowClause && !select->lockingClause &&
               !select->withClause;
  if (!plain)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("filter is no condition: \"%s\"", text)));
  ParseState* state = make_parsestate(nullptr);
  state->p_sourcetext = text;
  ParseNamespaceItem* item =
      addRangeTableEntryForRelation(state, table, AccessShareLock, nullptr, false, true);
  addNSItemToQuery(state, item, true, true, true);
  // As of a CHECK constraint: one row's matter, without subqueries and aggregates.
  Node* condition = transformExpr(state, linitial_node(ResTarget, select->targetList)->val,
                                  EXPR_KIND_CHECK_CONSTRAINT);
  condition = coerce_to_boolean(state, condition, "filter");
  assign_expr_collations(state, condition);
  return condition;
}

void AddColumnsOf(CacheRequest* request, Node* condition) {
  Bitmapset* used = nullptr;
  pull_varattnos(condition, 1, &used);
  for (int i = -1; (i = bms_next_member(used, i)) >= 0;) {
    int attribute = i + FirstLowInvalidHeapAttributeNumber;
    if (attribute <= 0)
      ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                      errmsg("filter may not name a system column or the whole row")));
    request->columns = bms_add_member(request->columns, attribute);
  }
}

char* CanonicalFilter(CacheRequest* request, const char* text) {
  Relation table = table_open(request->table, AccessShareLock);
  Node* condition = ParseCondition(table, text);
  if (contain_mutable_functions(condition))
    ereport(ERROR, (errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
                    errmsg("filter must be immutable: \"%s\"", text),
                    errdetail("An answer may only depend on rows of the table.")));
  AddColumnsOf(request, condition);
  // Printed so that no search_path of a caller changes what it means.
  int settings = NewGUCNestLevel();
  set_config_option("search_path", "pg_catalog", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true,
                    0, false);
  char* canonical = deparse_expression(
      condition, deparse_context_for(RelationGetRelationName(table), request->table), false, false);
  AtEOXact_GUC(true, settings);
  table_close(table, NoLock);
  return canonical;
}

// --- The table

void CheckTable(Oid table) {
  char kind = get_rel_relkind(table);
  if (kind == '\0')
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("table %u does not exist", table)));
  if (!pg_class_ownercheck(table, GetUserId()))
    aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(table));
  if ((kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE) ||
      get_rel_persistence(table) == RELPERSISTENCE_TEMP || IsCatalogRelationOid(table))
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                    errmsg("\"%s\" cannot have a cache", get_rel_name(table)),
                    errdetail("Caches are made of tables, partitioned or not, that are neither "
                              "temporary nor the system's.")));
  ListCell* cell;
  foreach (cell, MembersOf(table)) {
    Oid member = lfirst_oid(cell);
    char member_kind = get_rel_relkind(member);
    if ((member == table || get_rel_relispartition(member)) &&
        (member_kind == RELKIND_RELATION || member_kind == RELKIND_PARTITIONED_TABLE))
      continue;
    ereport(ERROR,
            (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
             errmsg("\"%s\" cannot have a cache", get_rel_name(table)),
             errdetail("\"%s\" is a foreign table, or inherits without being a partition: its "
                       "changes are not seen.",
                       get_rel_name(member))));
  }
}

void CheckSchema(const char* schema) {
  Oid id = get_namespace_oid(schema, false);
  AclResult result = pg_namespace_aclcheck(id, GetUserId(), ACL_CREATE);
  if (result != ACLCHECK_OK) aclcheck_error(result, OBJECT_SCHEMA, schema);
}

}  // namespace

void SplitCacheName(const char* name, char** schema, char** function) {
  List* names = stringToQualifiedNameList(name);
  if (list_length(names) > 2)
    ereport(ERROR, (errcode(ERRCODE_INVALID_NAME), errmsg("\"%s\" is no name of a cache", name),
                    errhint("It is the function's name, with or without its schema.")));
  *schema = list_length(names) == 2 ? strVal(linitial(names)) : nullptr;
  *function = strVal(llast(names));
}

CacheRequest CheckCacheRequest(const char* name, Oid table, const char* key, const char* value,
                               bool unique, const char* order_by, const char* filter) {
  CheckTable(table);
  CacheRequest request{};
  request.table = table;
  request.unique = unique;
  SplitCacheName(name, &request.schema, &request.function);
  if (!request.schema) request.schema = get_namespace_name(get_rel_namespace(table));
  CheckSchema(request.schema);
  request.key = ColumnsOf(&request, key, "key");
  request.value = ColumnsOf(&request, value, "value");
  CheckKeyTypes(&request);
  CheckForeignKey(&request);
  if (unique && order_by)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("a unique cache has one row for a key, which has no order")));
  if (order_by) request.order_by = CanonicalOrder(&request, order_by);
  if (filter) request.filter = CanonicalFilter(&request, filter);
  return request;
}

}  // namespace teamscale

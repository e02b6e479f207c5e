// create_cache(): the function, its type, the triggers, the catalog's row.
#include "teamscale/postgres/boundary/extension_owner.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/cache/answer.h"
#include "teamscale/postgres/cache/cache_request.h"
#include "teamscale/postgres/cache/foreign_keys.h"
#include "teamscale/postgres/cache/guards.h"

extern "C" {
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "parser/parse_func.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/timestamp.h"
}

namespace teamscale {

namespace {

const char* Table(const CacheRequest& request) {
  return quote_qualified_identifier(get_namespace_name(get_rel_namespace(request.table)),
                                    get_rel_name(request.table));
}

const char* Function(const CacheRequest& request) {
  return quote_qualified_identifier(request.schema, request.function);
}

void Execute(const char* sql) {
  int status = SPI_execute(sql, false, 0);
  if (status < 0)
    ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
                    errmsg("could not execute: %s", SPI_result_code_string(status)),
                    errdetail("The statement is: %s", sql)));
}

const char* TypeOfColumn(const CacheRequest& request, const char* column) {
  Oid type;
  int32 modifier;
  Oid collation;
  get_atttypetypmodcoll(request.table, get_attnum(request.table, column), &type, &modifier,
                        &collation);
  return format_type_extended(type, modifier,
                              FORMAT_TYPE_FORCE_QUALIFY | FORMAT_TYPE_TYPEMOD_GIVEN);
}

// "name type, name type"
char* ColumnDefinitions(const CacheRequest& request, List* columns) {
  StringInfoData text;
  initStringInfo(&text);
  ListCell* cell;
  foreach (cell, columns) {
    auto* column = static_cast<const char*>(lfirst(cell));
    appendStringInfo(&text, "%s%s %s", text.len ? ", " : "", quote_identifier(column),
                     TypeOfColumn(request, column));
  }
  return text.data;
}

// One value column: its type. Several: a composite type of the cache's own.
const char* RowType(const CacheRequest& request) {
  if (list_length(request.value) == 1)
    return TypeOfColumn(request, static_cast<const char*>(linitial(request.value)));
  const char* type =
      quote_qualified_identifier(request.schema, makeObjectName(request.function, nullptr, "row"));
  Execute(psprintf("CREATE TYPE %s AS (%s)", type, ColumnDefinitions(request, request.value)));
  return type;
}

Oid FunctionOid(const CacheRequest& request) {
  Oid types[INDEX_MAX_KEYS];
  int count = 0;
  ListCell* cell;
  foreach (cell, request.key)
    types[count++] = get_atttype(request.table,
                                 get_attnum(request.table, static_cast<const char*>(lfirst(cell))));
  return LookupFuncName(list_make2(makeString(request.schema), makeString(request.function)), count,
                        types, false);
}

// Only a superuser makes C functions: the extension's owner does, and gives it to the caller.
Oid CreateFunction(const CacheRequest& request) {
  const char* row = RowType(request);
  ExecuteAsExtensionOwner(
      psprintf("CREATE FUNCTION %s(%s) RETURNS %s%s LANGUAGE c STABLE STRICT PARALLEL %s COST 2 "
               "AS '$libdir/teamscale', 'teamscale_cached_answer'",
               Function(request), ColumnDefinitions(request, request.key), row,
               request.unique ? "" : "[]", ForeignKeyColumn(request.table) ? "UNSAFE" : "SAFE"),
      0, nullptr, nullptr, nullptr);
  Oid function = FunctionOid(request);
  ExecuteAsExtensionOwner(psprintf("ALTER FUNCTION %s OWNER TO %s",
                                   format_procedure_extended(function, FORMAT_PROC_FORCE_QUALIFY),
                                   quote_identifier(GetUserNameFromId(GetUserId(), false))),
                          0, nullptr, nullptr, nullptr);
  return function;
}

// DROP TABLE then names the function, or takes it along with CASCADE.
void DependOnColumns(const CacheRequest& request, Oid function) {
  ObjectAddress dependent;
  ObjectAddressSet(dependent, ProcedureRelationId, function);
  for (int column = -1; (column = bms_next_member(request.columns, column)) >= 0;) {
    ObjectAddress referenced;
    ObjectAddressSubSet(referenced, RelationRelationId, request.table, column);
    recordDependencyOn(&dependent, &referenced, DEPENDENCY_NORMAL);
  }
}

void GuardTable(const CacheRequest& request) {
  List* name =
      list_make2(makeString(pstrdup("teamscale_internal")), makeString(pstrdup("guard_cache")));
  char* culprit;
  if (ExamineGuards(request.table, LookupFuncName(name, 0, nullptr, false), &culprit) !=
      Guard::kNoTrigger)
    return;
  Execute(
      psprintf("CREATE OR REPLACE TRIGGER teamscale_cache_guard AFTER INSERT OR UPDATE OR "
               "DELETE ON %s FOR EACH ROW EXECUTE FUNCTION teamscale_internal.guard_cache()",
               Table(request)));
  Execute(psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER teamscale_cache_guard", Table(request)));
}

Datum NamesArray(List* names) {
  auto* elements =
      static_cast<Datum*>(palloc(sizeof(Datum) * static_cast<std::size_t>(list_length(names))));
  int count = 0;
  ListCell* cell;
  foreach (cell, names)
    elements[count++] =
        DirectFunctionCall1(namein, CStringGetDatum(static_cast<char*>(lfirst(cell))));
  return PointerGetDatum(
      construct_array(elements, count, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR));
}

Datum ColumnsArray(const CacheRequest& request) {
  List* names = NIL;
  for (int column = -1; (column = bms_next_member(request.columns, column)) >= 0;)
    names = lappend(names, get_attname(request.table, static_cast<AttrNumber>(column), false));
  return NamesArray(names);
}

constexpr int kRowColumns = 10;

void InsertRow(const CacheRequest& request, Oid function, const NullableDatum& ttl,
               const NullableDatum& near_ttl) {
  Oid types[kRowColumns] = {OIDOID,  OIDOID,  NAMEARRAYOID, NAMEARRAYOID, NAMEARRAYOID,
                            BOOLOID, TEXTOID, TEXTOID,      INT8OID,      INT8OID};
  Datum values[kRowColumns] = {ObjectIdGetDatum(function),
                               ObjectIdGetDatum(request.table),
                               NamesArray(request.key),
                               NamesArray(request.value),
                               ColumnsArray(request),
                               BoolGetDatum(request.unique),
                               request.order_by ? CStringGetTextDatum(request.order_by) : Datum{0},
                               request.filter ? CStringGetTextDatum(request.filter) : Datum{0},
                               ttl.value,
                               near_ttl.value};
  char nulls[kRowColumns + 1] = "          ";
  if (!request.order_by) nulls[6] = 'n';
  if (!request.filter) nulls[7] = 'n';
  if (ttl.isnull) nulls[8] = 'n';
  if (near_ttl.isnull) nulls[9] = 'n';
  ExecuteAsExtensionOwner(
      "INSERT INTO teamscale_internal.cache "
      "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
      kRowColumns, types, values, nulls);
}

NullableDatum Microseconds(FunctionCallInfo fcinfo, int argument, const char* name) {
  if (PG_ARGISNULL(argument)) return {Datum{0}, true};
  Interval* interval = PG_GETARG_INTERVAL_P(argument);
  std::int64_t microseconds =
      interval->time + interval->day * USECS_PER_DAY +
      static_cast<std::int64_t>(interval->month) * DAYS_PER_MONTH * USECS_PER_DAY;
  if (microseconds <= 0)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("%s must be longer than no time", name)));
  return {Int64GetDatum(microseconds), false};
}

char* TextArgument(FunctionCallInfo fcinfo, int argument, const char* name) {
  if (PG_ARGISNULL(argument))
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("%s must not be null", name)));
  return text_to_cstring(PG_GETARG_TEXT_PP(argument));
}

char* OptionalText(FunctionCallInfo fcinfo, int argument) {
  return PG_ARGISNULL(argument) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(argument));
}

struct Creation {
  CacheRequest request;
  NullableDatum ttl;
  NullableDatum near_ttl;
  Oid function;
};

void CreateHere(void* argument) {
  auto* creation = static_cast<Creation*>(argument);
  creation->function = CreateFunction(creation->request);
  DependOnColumns(creation->request, creation->function);
  GuardTable(creation->request);
  InsertRow(creation->request, creation->function, creation->ttl, creation->near_ttl);
}

const char* Literal(const char* text) { return text ? quote_literal_cstr(text) : "NULL"; }

const char* IntervalLiteral(const NullableDatum& microseconds) {
  if (microseconds.isnull) return "NULL";
  return psprintf("'%lld microseconds'", static_cast<long long>(DatumGetInt64(microseconds.value)));
}

// The call that asks another database for the same cache.
const char* SameCall(const Creation& creation, const char* key, const char* value) {
  const CacheRequest& request = creation.request;
  return psprintf(
      "SELECT teamscale.create_cache(%s, %s::pg_catalog.regclass, %s, %s, %s, %s, %s, %s, %s)",
      Literal(Function(request)), Literal(Table(request)), Literal(key), Literal(value),
      request.unique ? "true" : "false", Literal(request.order_by), Literal(request.filter),
      IntervalLiteral(creation.ttl), IntervalLiteral(creation.near_ttl));
}

}  // namespace

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_create_cache) {
  using namespace teamscale;
  const char* name = TextArgument(fcinfo, 0, "name");
  if (PG_ARGISNULL(1))
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED), errmsg("table must not be null")));
  Oid table = PG_GETARG_OID(1);
  // Nobody changes the definition, or writes, until the triggers are there for all to see.
  LockRelationOid(table, ShareRowExclusiveLock);
  SPI_connect();
  const char* key = TextArgument(fcinfo, 2, "key");
  const char* value = TextArgument(fcinfo, 3, "value");
  Creation creation{};
  creation.request =
      CheckCacheRequest(name, table, key, value, !PG_ARGISNULL(4) && PG_GETARG_BOOL(4),
                        OptionalText(fcinfo, 5), OptionalText(fcinfo, 6));
  creation.ttl = Microseconds(fcinfo, 7, "ttl");
  creation.near_ttl = Microseconds(fcinfo, 8, "near_ttl");
  OnAllDatabases(table, CreateHere, &creation, SameCall(creation, key, value));
  SPI_finish();
  PG_RETURN_OID(creation.function);
}

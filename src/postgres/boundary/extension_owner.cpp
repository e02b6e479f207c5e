#include "teamscale/postgres/boundary/extension_owner.h"

extern "C" {
#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/guc.h"
#include "utils/syscache.h"
}

namespace teamscale {

Oid ExtensionOwner() {
  Oid schema = get_namespace_oid("teamscale_internal", false);
  HeapTuple tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
  if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for schema %u", schema);
  Oid owner = reinterpret_cast<Form_pg_namespace>(GETSTRUCT(tuple))->nspowner;
  ReleaseSysCache(tuple);
  return owner;
}

int ExecuteAsExtensionOwner(const char* sql, int count, Oid* types, Datum* values,
                            const char* nulls) {
  Oid user;
  int context;
  GetUserIdAndSecContext(&user, &context);
  SetUserIdAndSecContext(ExtensionOwner(), context | SECURITY_LOCAL_USERID_CHANGE);
  // The caller's path could lead to operators and functions of the caller's own.
  int settings = NewGUCNestLevel();
  set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
                    GUC_ACTION_SAVE, true, 0, false);
  // An error needs no repair here: the abort of the (sub)transaction restores user and path.
  int status = SPI_execute_with_args(sql, count, types, values, nulls, false, 0);
  AtEOXact_GUC(true, settings);
  SetUserIdAndSecContext(user, context);
  if (status < 0)
    ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
                    errmsg("could not change the catalog: %s", SPI_result_code_string(status))));
  return status;
}

List* OidList(const Oid* oids, std::size_t count) {
  List* list = NIL;
  for (std::size_t i = 0; i < count; ++i) list = lappend_oid(list, oids[i]);
  return list;
}

Datum OidArray(const List* oids) {
  int count = list_length(oids);
  auto* elements = static_cast<Datum*>(palloc(sizeof(Datum) * (count + 1)));
  for (int i = 0; i < count; ++i) elements[i] = ObjectIdGetDatum(list_nth_oid(oids, i));
  return PointerGetDatum(construct_array(elements, count, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
}

namespace {

List* ReadRows(const char* sql, int count, Oid* types, Datum* values) {
  MemoryContext context = CurrentMemoryContext;
  List* rows = NIL;
  SPI_connect();
  ExecuteAsExtensionOwner(sql, count, types, values, nullptr);
  MemoryContext spi = MemoryContextSwitchTo(context);
  for (uint64 i = 0; i < SPI_processed; ++i) {
    int columns = SPI_tuptable->tupdesc->natts;
    auto** row = static_cast<char**>(palloc(sizeof(char*) * columns));
    for (int column = 0; column < columns; ++column)
      row[column] = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, column + 1);
    rows = lappend(rows, row);
  }
  MemoryContextSwitchTo(spi);
  SPI_finish();
  return rows;
}

}  // namespace

List* ReadTextRows(const char* sql) { return ReadRows(sql, 0, nullptr, nullptr); }

List* ReadTextRows(const char* sql, const List* oids) {
  Oid types[] = {OIDARRAYOID};
  Datum values[] = {OidArray(oids)};
  return ReadRows(sql, 1, types, values);
}

}  // namespace teamscale

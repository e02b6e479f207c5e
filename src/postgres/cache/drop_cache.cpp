#include "teamscale/postgres/cache/drop_cache.h"

#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/cache/cache_name.h"
#include "teamscale/postgres/cache/foreign_keys.h"
#include "teamscale/postgres/cache/shared_cache.h"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
}

namespace teamscale {

namespace {

object_access_hook_type previous_object_access = nullptr;

// Functions whose caches this transaction drops; their memory is given back when it commits.
constexpr int kRoom = 64;
Oid dropped[kRoom];
int dropped_count = 0;

void OnTransactionEnd(XactEvent event, void*) {
  if (event == XACT_EVENT_COMMIT)
    for (int i = 0; i < dropped_count; ++i) ForgetCache(dropped[i]);
  if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
    dropped_count = 0;
}

// Takes the rows out of the catalog whose function or table it is. Whoever drops the object may do
// so: nobody's rights are asked.
void DeleteRows(AttrNumber column, Oid object) {
  Oid schema = get_namespace_oid("teamscale_internal", true);
  Oid catalog_id = OidIsValid(schema) ? get_relname_relid("cache", schema) : InvalidOid;
  if (!OidIsValid(catalog_id)) return;
  Relation catalog = table_open(catalog_id, RowExclusiveLock);
  SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, nullptr, 0, nullptr);
  HeapTuple tuple;
  bool found = false;
  while (HeapTupleIsValid(tuple = systable_getnext(scan))) {
    bool null;
    Oid value = DatumGetObjectId(heap_getattr(tuple, column, RelationGetDescr(catalog), &null));
    if (value != object) continue;
    Oid function = DatumGetObjectId(heap_getattr(tuple, 1, RelationGetDescr(catalog), &null));
    CatalogTupleDelete(catalog, &tuple->t_self);
    if (dropped_count < kRoom) dropped[dropped_count++] = function;
    found = true;
  }
  systable_endscan(scan);
  table_close(catalog, NoLock);
  if (found) InvalidateDefinitions();
}

bool IsCached(Oid catalog, Oid object) {
  Caches all = AllCaches();
  for (int i = 0; i < all.count; ++i)
    if ((catalog == ProcedureRelationId ? all.cache[i]->function : all.cache[i]->table) == object)
      return true;
  return false;
}

void ObjectAccess(ObjectAccessType access, Oid catalog, Oid object, int sub_object,
                  void* argument) {
  if (previous_object_access) previous_object_access(access, catalog, object, sub_object, argument);
  if (access != OAT_DROP || sub_object != 0 || object < FirstNormalObjectId) return;
  if (catalog != ProcedureRelationId && catalog != RelationRelationId) return;
  if (IsCached(catalog, object)) DeleteRows(catalog == ProcedureRelationId ? 1 : 2, object);
}

void Execute(const char* sql) {
  int status = SPI_execute(sql, false, 0);
  if (status < 0) elog(ERROR, "could not execute: %s", SPI_result_code_string(status));
}

bool HasOtherCache(const Cache* cache) {
  Caches all = AllCaches();
  for (int i = 0; i < all.count; ++i)
    if (all.cache[i]->table == cache->table && all.cache[i] != cache) return true;
  return false;
}

// The composite type that create_cache() made for it; null when it made none.
const char* RowType(const Cache* cache) {
  Oid row = cache->unique ? cache->result_type : get_element_type(cache->result_type);
  if (!type_is_rowtype(row)) return nullptr;
  const char* made = makeObjectName(get_func_name(cache->function), nullptr, "row");
  Oid schema = get_func_namespace(cache->function);
  if (TypenameGetTypidExtended(made, false) != row &&
      get_rel_namespace(get_typ_typrelid(row)) != schema)
    return nullptr;
  return format_type_be_qualified(row);
}

struct Drop {
  const char* function;
  const char* type;
  const char* table;
  bool last;
};

void DropHere(void* argument) {
  auto* drop = static_cast<Drop*>(argument);
  Execute(psprintf("DROP FUNCTION %s", drop->function));
  if (drop->type) Execute(psprintf("DROP TYPE %s", drop->type));
  if (drop->last)
    Execute(psprintf("DROP TRIGGER IF EXISTS teamscale_cache_guard ON %s", drop->table));
}

void DropCache(Cache* cache) {
  CheckCacheOwner(cache);
  Drop drop;
  drop.function = format_procedure_extended(cache->function, FORMAT_PROC_FORCE_QUALIFY);
  drop.type = RowType(cache);
  drop.table = quote_qualified_identifier(get_namespace_name(get_rel_namespace(cache->table)),
                                          get_rel_name(cache->table));
  drop.last = !HasOtherCache(cache);
  const char* same =
      psprintf("SELECT teamscale.drop_cache(%s)", quote_literal_cstr(QualifiedName(cache)));
  Oid table = cache->table;
  SPI_connect();
  OnAllDatabases(table, DropHere, &drop, same);
  SPI_finish();
}

}  // namespace

void InitDropCache() {
  RegisterXactCallback(OnTransactionEnd, nullptr);
  previous_object_access = object_access_hook;
  object_access_hook = ObjectAccess;
}

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_drop_cache) {
  using namespace teamscale;
  DropCache(CacheOfName(text_to_cstring(PG_GETARG_TEXT_PP(0))));
  PG_RETURN_VOID();
}

TEAMSCALE_SQL_FUNCTION(teamscale_invalidate_caches) {
  teamscale::InvalidateDefinitions();
  return PointerGetDatum(nullptr);
}

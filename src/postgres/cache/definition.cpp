// Reading the caches of a database from its catalog, and when to read them again.
#include "teamscale/postgres/cache/definition.h"

#include "teamscale/postgres/cache/cache_query.h"
#include "teamscale/postgres/cache/guards.h"
#include "teamscale/postgres/cache/shared_cache.h"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "parser/parse_func.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
}

#include "teamscale/core/cache/key_hash.h"

namespace teamscale {

std::uint64_t definition_generation = 1;
std::uint64_t rights_generation = 1;

namespace {

// The columns of teamscale_internal.cache.
enum CatalogColumn {
  kFunction = 1,
  kRelation,
  kKeyColumns,
  kValueColumns,
  kColumns,
  kIsUnique,
  kOrderBy,
  kFilter,
  kTtl,
  kNearTtl
};

struct Known {
  std::uint64_t generation;  // as of which it is known; 0: not, or not all of it
  Oid catalog;
  Oid guard_function;
  int count;
  Cache** cache;
  MemoryContext context;  // of the list
};
Known known;
HTAB* histories = nullptr;
HTAB* concerned = nullptr;  // relations whose changes are changes of caches

// --- When

void OnRelation(Datum, Oid relation) {
  if (!known.context) return;
  if (!OidIsValid(relation) || relation == known.catalog || ConcernsCaches(relation))
    ++definition_generation;
}

void OnSchema(Datum, int, uint32) {
  // The extension may have come or gone, or the schema of a table may have another name.
  ++definition_generation;
}

void OnRole(Datum, int, uint32) { ++rights_generation; }

// --- What

CacheHistory* HistoryOf(Oid function) {
  if (!histories) {
    HASHCTL control{};
    control.keysize = sizeof(Oid);
    control.entrysize = sizeof(CacheHistory);
    histories = hash_create("teamscale cache histories", 16, &control, HASH_ELEM | HASH_BLOBS);
  }
  bool found;
  auto* history = static_cast<CacheHistory*>(hash_search(histories, &function, HASH_ENTER, &found));
  if (!found) {
    *history = CacheHistory{};
    history->function = function;
    history->place = kNoPlace;
  }
  return history;
}

void NoteConcern(Oid relation) { hash_search(concerned, &relation, HASH_ENTER, nullptr); }

bool HasPlainEquality(Oid type, Oid collation) {
  switch (type) {
    case BOOLOID:
    case CHAROID:
    case INT2OID:
    case INT4OID:
    case INT8OID:
    case OIDOID:
    case DATEOID:
    case TIMEOID:
    case TIMESTAMPOID:
    case TIMESTAMPTZOID:
    case UUIDOID:
    case BYTEAOID:
      return true;
    case TEXTOID:
    case VARCHAROID:
      return get_collation_isdeterministic(collation);
    default:
      return get_typtype(type) == TYPTYPE_ENUM;
  }
}

// What is wrong is told to those who call the function, not to everybody who writes some table.
bool Misfit(Cache* cache, const char* column) {
  cache->guard = Guard::kMisfit;
  cache->culprit = pstrdup(column);
  return false;
}

bool ReadKeyColumn(Cache* cache, int index, const char* name, Oid argument_type) {
  KeyColumn* column = &cache->key[index];
  namestrcpy(&column->name, name);
  column->attribute = get_attnum(cache->table, name);
  if (column->attribute == InvalidAttrNumber) return Misfit(cache, name);
  Oid type;
  int32 modifier;
  get_atttypetypmodcoll(cache->table, column->attribute, &type, &modifier, &column->collation);
  if (type != argument_type) return Misfit(cache, name);
  column->type = getBaseType(type);
  get_typlenbyval(column->type, &column->length, &column->by_value);
  column->plain = HasPlainEquality(column->type, column->collation);
  TypeCacheEntry* types = lookup_type_cache(
      column->type, TYPECACHE_EQ_OPR | TYPECACHE_HASH_PROC | TYPECACHE_HASH_EXTENDED_PROC);
  column->equality = types->eq_opr;
  column->extended = OidIsValid(types->hash_extended_proc);
  Oid hash = column->extended ? types->hash_extended_proc : types->hash_proc;
  if (!OidIsValid(hash)) return Misfit(cache, name);
  fmgr_info_cxt(hash, &column->hash, CurrentMemoryContext);
  return true;
}

char** NamesOf(Datum array, int* count) {
  Datum* elements;
  deconstruct_array(DatumGetArrayTypeP(array), NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR,
                    &elements, nullptr, count);
  auto** names = static_cast<char**>(palloc(sizeof(char*) * static_cast<std::size_t>(*count)));
  for (int i = 0; i < *count; ++i) names[i] = NameStr(*DatumGetName(elements[i]));
  return names;
}

bool ReadKeys(Cache* cache, Datum array) {
  char** names = NamesOf(array, &cache->keys);
  cache->key =
      static_cast<KeyColumn*>(palloc0(sizeof(KeyColumn) * static_cast<std::size_t>(cache->keys)));
  Oid* types;
  int arguments;
  cache->result_type = get_func_signature(cache->function, &types, &arguments);
  get_typlenbyval(cache->result_type, &cache->result_length, &cache->result_by_value);
  if (arguments != cache->keys) return Misfit(cache, names[0]);
  for (int i = 0; i < cache->keys; ++i)
    if (!ReadKeyColumn(cache, i, names[i], types[i])) return false;
  return true;
}

bool ReadColumns(Cache* cache, Datum array) {
  int count;
  char** names = NamesOf(array, &count);
  for (int i = 0; i < count; ++i) {
    AttrNumber attribute = get_attnum(cache->table, names[i]);
    if (attribute == InvalidAttrNumber) return Misfit(cache, names[i]);
    cache->columns = bms_add_member(cache->columns, attribute);
  }
  return true;
}

void NoteConcernsOf(Cache* cache) {
  ListCell* cell;
  NoteConcern(cache->table);
  if (get_rel_relispartition(cache->table))
    cache->ancestors = get_partition_ancestors(cache->table);
  foreach (cell, cache->ancestors) NoteConcern(lfirst_oid(cell));
  foreach (cell, MembersOf(cache->table)) NoteConcern(lfirst_oid(cell));
}

void FindGuard(Cache* cache) {
  cache->guard = ExamineGuards(cache->table, known.guard_function, &cache->culprit);
  cache->place = kNoPlace;
  if (!HasArena()) {
    cache->guard = Guard::kNotLoaded;
  } else if (!RecoveryInProgress()) {
    cache->place = PlaceOfCache(cache->function);
    if (cache->place == kNoPlace && cache->guard == Guard::kGuarded) cache->guard = Guard::kNoPlace;
  }
  if (cache->history->place != cache->place) FlushCounts();
  cache->history->place = cache->place;
}

struct Row {
  Datum value[kNearTtl + 1];
  bool null[kNearTtl + 1];
};

Cache* ReadCache(const Row& row, std::uint64_t generation) {
  auto* cache = static_cast<Cache*>(palloc0(sizeof(Cache)));
  cache->context = CurrentMemoryContext;
  cache->generation = generation;
  cache->function = DatumGetObjectId(row.value[kFunction]);
  cache->table = DatumGetObjectId(row.value[kRelation]);
  cache->seed = core::Combine(OwnerOf(MyDatabaseId, cache->function), 0);
  cache->history = HistoryOf(cache->function);
  cache->unique = DatumGetBool(row.value[kIsUnique]);
  cache->ttl = row.null[kTtl] ? 0 : DatumGetInt64(row.value[kTtl]);
  cache->near_ttl = row.null[kNearTtl] ? 0 : DatumGetInt64(row.value[kNearTtl]);
  NoteConcernsOf(cache);
  if (!ReadKeys(cache, row.value[kKeyColumns]) || !ReadColumns(cache, row.value[kColumns]))
    return cache;
  int values;
  char** names = NamesOf(row.value[kValueColumns], &values);
  const char* order = row.null[kOrderBy] ? nullptr : TextDatumGetCString(row.value[kOrderBy]);
  const char* filter = row.null[kFilter] ? nullptr : TextDatumGetCString(row.value[kFilter]);
  cache->query = QueryOfCache(cache, names, values, order, filter);
  cache->key_query = KeyQueryOfCache(cache, filter);
  FindGuard(cache);
  return cache;
}

// A cache whose table or function is gone is none; one that does not fit raises when it is called.
Cache* ReadCacheIfThere(const Row& row, std::uint64_t generation) {
  Oid function = DatumGetObjectId(row.value[kFunction]);
  Oid table = DatumGetObjectId(row.value[kRelation]);
  if (!SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(function)) ||
      !SearchSysCacheExists1(RELOID, ObjectIdGetDatum(table)))
    return nullptr;
  MemoryContext context =
      AllocSetContextCreate(known.context, "teamscale cache", ALLOCSET_SMALL_SIZES);
  MemoryContext previous = MemoryContextSwitchTo(context);
  Cache* cache = ReadCache(row, generation);
  MemoryContextSwitchTo(previous);
  MemoryContextSetParent(context, CacheMemoryContext);
  return cache;
}

void Free(Cache* cache) {
  if (cache->plan) SPI_freeplan(cache->plan);
  MemoryContextDelete(cache->context);
}

// Forgets what is known. The caches that somebody uses stay until they are unpinned.
void Forget() {
  for (int i = 0; i < known.count; ++i) {
    known.cache[i]->outdated = true;
    if (known.cache[i]->pins == 0) Free(known.cache[i]);
  }
  known.count = 0;
  if (known.context) MemoryContextDelete(known.context);
  known = Known{};
  concerned = nullptr;
}

Oid CatalogRelation() {
  Oid schema = get_namespace_oid("teamscale_internal", true);
  return OidIsValid(schema) ? get_relname_relid("cache", schema) : InvalidOid;
}

Oid GuardFunction() {
  List* name =
      list_make2(makeString(pstrdup("teamscale_internal")), makeString(pstrdup("guard_cache")));
  return LookupFuncName(name, 0, nullptr, true);
}

void ReadRows(Relation catalog, std::uint64_t generation) {
  SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, nullptr, 0, nullptr);
  int room = 0;
  HeapTuple tuple;
  while (HeapTupleIsValid(tuple = systable_getnext(scan))) {
    Row row;
    for (int i = kFunction; i <= kNearTtl; ++i)
      row.value[i] = heap_getattr(tuple, i, RelationGetDescr(catalog), &row.null[i]);
    Cache* cache = ReadCacheIfThere(row, generation);
    if (!cache) continue;
    if (known.count == room) {
      room = room ? 2 * room : 8;
      std::size_t bytes = sizeof(Cache*) * static_cast<std::size_t>(room);
      known.cache = static_cast<Cache**>(known.cache ? repalloc(known.cache, bytes)
                                                     : MemoryContextAlloc(known.context, bytes));
    }
    known.cache[known.count++] = cache;
  }
  systable_endscan(scan);
}

void ReadAll() {
  Forget();
  std::uint64_t generation = definition_generation;
  known.context =
      AllocSetContextCreate(CacheMemoryContext, "teamscale caches", ALLOCSET_SMALL_SIZES);
  MemoryContext scratch =
      AllocSetContextCreate(CurrentMemoryContext, "teamscale caches scratch", ALLOCSET_SMALL_SIZES);
  MemoryContext previous = MemoryContextSwitchTo(scratch);
  HASHCTL control{};
  control.keysize = sizeof(Oid);
  control.entrysize = sizeof(Oid);
  control.hcxt = known.context;
  concerned =
      hash_create("teamscale cached tables", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
  known.catalog = CatalogRelation();
  if (OidIsValid(known.catalog)) {
    known.guard_function = GuardFunction();
    Relation catalog = table_open(known.catalog, AccessShareLock);
    ReadRows(catalog, generation);
    table_close(catalog, AccessShareLock);
  }
  known.generation = generation;
  MemoryContextSwitchTo(previous);
  MemoryContextDelete(scratch);
}

}  // namespace

void InitDefinitions() {
  CacheRegisterRelcacheCallback(OnRelation, Datum{0});
  CacheRegisterSyscacheCallback(NAMESPACEOID, OnSchema, Datum{0});
  CacheRegisterSyscacheCallback(AUTHOID, OnRole, Datum{0});
  CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, OnRole, Datum{0});
}

Caches AllCaches() {
  if (known.generation != definition_generation) ReadAll();
  return {known.count, known.cache};
}

Cache* FindCache(Oid function) {
  Caches all = AllCaches();
  for (int i = 0; i < all.count; ++i)
    if (all.cache[i]->function == function) return all.cache[i];
  return nullptr;
}

bool ConcernsCaches(Oid relation) {
  return concerned && hash_search(concerned, &relation, HASH_FIND, nullptr);
}

void Unpin(Cache* cache) {
  if (--cache->pins == 0 && cache->outdated) Free(cache);
}

void InvalidateDefinitions() {
  Oid catalog = CatalogRelation();
  if (OidIsValid(catalog)) CacheInvalidateRelcacheByRelid(catalog);
}

}  // namespace teamscale

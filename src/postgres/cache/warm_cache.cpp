// warm_cache(): answers are put into memory in the background, before they are asked for.
#include "teamscale/postgres/cache/warm_cache.h"

#include <cstdlib>

#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/cache/answer.h"
#include "teamscale/postgres/cache/cache_name.h"
#include "teamscale/postgres/cache/foreign_keys.h"
#include "teamscale/postgres/cache/shared_cache.h"
#include "teamscale/postgres/worker/owner_session.h"

extern "C" {
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
}

namespace teamscale {

namespace {

constexpr char kJob[] = "warming a cache";
constexpr std::int64_t kAllKeys = -1;
constexpr long kBatch = 1000;  // keys between two looks at the memory

// --- In the background

// Nearly: answers that pushed each other out would be read in vain.
bool IsFull() {
  core::ArenaFigures figures = arena.Figures();
  return figures.used_bytes / 9 >= figures.block_bytes / 10;
}

void PutAnswers(Cache* cache, const SPITupleTable* keys, std::uint64_t count) {
  MemoryContext scratch =
      AllocSetContextCreate(CurrentMemoryContext, "teamscale warming", ALLOCSET_SMALL_SIZES);
  MemoryContext caller = MemoryContextSwitchTo(scratch);
  for (std::uint64_t i = 0; i < count; ++i) {
    CHECK_FOR_INTERRUPTS();
    NullableDatum values[INDEX_MAX_KEYS];
    for (int column = 0; column < cache->keys; ++column)
      values[column].value =
          SPI_getbinval(keys->vals[i], keys->tupdesc, column + 1, &values[column].isnull);
    AnswerOf(cache, values);
    MemoryContextReset(scratch);
  }
  MemoryContextSwitchTo(caller);
  MemoryContextDelete(scratch);
}

struct Warming {
  Cache* cache;
  std::int64_t keys_left;  // kAllKeys: no limit
};

void PutAllAnswers(void* argument) {
  auto* warming = static_cast<Warming*>(argument);
  SPI_connect();
  SPIPlanPtr plan = SPI_prepare(warming->cache->key_query, 0, nullptr);
  Portal portal = SPI_cursor_open(nullptr, plan, nullptr, nullptr, true);
  while (warming->keys_left != 0 && !IsFull()) {
    bool limited = warming->keys_left != kAllKeys && warming->keys_left < kBatch;
    SPI_cursor_fetch(portal, true, limited ? static_cast<long>(warming->keys_left) : kBatch);
    std::uint64_t count = SPI_processed;
    SPITupleTable* keys = SPI_tuptable;
    if (count == 0) break;
    PutAnswers(warming->cache, keys, count);
    SPI_freetuptable(keys);
    if (warming->keys_left != kAllKeys) warming->keys_left -= static_cast<std::int64_t>(count);
  }
  SPI_cursor_close(portal);
  SPI_finish();
}

// The argument: the function's Oid and the number of keys.
void WarmCache(const char* argument) {
  char* rest;
  auto function = static_cast<Oid>(strtoul(argument, &rest, 10));
  std::int64_t keys = strtoll(rest, nullptr, 10);
  BeginOwnerTransaction();
  // It may have been dropped meanwhile, or a trigger be gone: there is nothing to do.
  Cache* cache = FindCache(function);
  if (cache && WhyBypassed(cache) == kHits) {
    Warming warming = {cache, keys};
    Pin(cache);
    OnRowsHere(cache->table, PutAllAnswers, &warming);
    Unpin(cache);
  }
  CommitOwnerTransaction();
}

// --- The call

struct Request {
  Cache* cache;
  std::int64_t keys;
};

void StartHere(void* argument) {
  auto* request = static_cast<Request*>(argument);
  const Cache* cache = request->cache;
  HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(cache->function));
  if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for function %u", cache->function);
  bool is_new = TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
  Oid owner = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple))->proowner;
  ReleaseSysCache(tuple);
  if (is_new)
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("cache \"%s\" was made by this transaction", get_func_name(cache->function)),
             errdetail("It is warmed by another session, which does not see it yet."),
             errhint("Call warm_cache() after COMMIT.")));
  const char* job = psprintf("%u %lld", cache->function, static_cast<long long>(request->keys));
  if (!StartOwnerJob(owner, kJob, job))
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_RESOURCES),
                    errmsg("no background worker is free to warm cache \"%s\"",
                           get_func_name(cache->function)),
                    errhint("Try again later, or increase max_worker_processes.")));
}

}  // namespace

void InitCacheWarming() { RegisterOwnerJob(kJob, WarmCache); }

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_warm_cache) {
  using namespace teamscale;
  if (PG_ARGISNULL(0)) PG_RETURN_NULL();
  Request request = {CacheOfName(text_to_cstring(PG_GETARG_TEXT_PP(0))),
                     PG_ARGISNULL(1) ? kAllKeys : PG_GETARG_INT64(1)};
  CheckCacheOwner(request.cache);
  if (!PG_ARGISNULL(1) && request.keys < 1)
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("max_keys must be positive"),
                    errhint("Leave it out to warm the cache until its memory is full.")));
  PreventCommandDuringRecovery("teamscale.warm_cache()");
  if (request.cache->guard != Guard::kGuarded)
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("cache \"%s\" is not in use", get_func_name(request.cache->function)),
                    errhint("The view teamscale.cache says why.")));
  const char* limit =
      PG_ARGISNULL(1) ? "NULL" : psprintf("%lld", static_cast<long long>(request.keys));
  Pin(request.cache);
  OnAllDatabases(request.cache->table, StartHere, &request,
                 psprintf("SELECT teamscale.warm_cache(%s, %s)",
                          quote_literal_cstr(QualifiedName(request.cache)), limit));
  Unpin(request.cache);
  PG_RETURN_VOID();
}

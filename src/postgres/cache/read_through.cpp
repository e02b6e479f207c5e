#include "teamscale/postgres/cache/read_through.h"

extern "C" {
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
}

namespace teamscale {

namespace {

SPIPlanPtr PlanOf(Cache* cache) {
  if (cache->plan) return cache->plan;
  auto* types = static_cast<Oid*>(palloc(sizeof(Oid) * static_cast<std::size_t>(cache->keys)));
  for (int i = 0; i < cache->keys; ++i) types[i] = cache->key[i].type;
  SPIPlanPtr plan = SPI_prepare(cache->query, cache->keys, types);
  if (!plan)
    ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
                    errmsg("could not prepare the query of cache \"%s\": %s",
                           get_func_name(cache->function), SPI_result_code_string(SPI_result))));
  if (SPI_keepplan(plan) != 0) elog(ERROR, "SPI_keepplan failed");
  cache->plan = plan;
  return plan;
}

[[noreturn]] void RefuseSeveralRows(const Cache* cache) {
  ereport(ERROR,
          (errcode(ERRCODE_CARDINALITY_VIOLATION),
           errmsg("a key of unique cache \"%s\" has several rows", get_func_name(cache->function)),
           errhint("Create the cache without unique => true, or make its key unique.")));
  pg_unreachable();
}

Answer FirstValue(const Cache* cache, MemoryContext context) {
  if (SPI_processed == 0) return {Datum{0}, true};
  if (SPI_processed > 1) RefuseSeveralRows(cache);
  Answer answer;
  answer.value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &answer.is_null);
  if (answer.is_null || cache->result_by_value) return answer;
  MemoryContext previous = MemoryContextSwitchTo(context);
  // One piece of memory, whatever it was made of.
  answer.value = cache->result_length == -1 ? PointerGetDatum(PG_DETOAST_DATUM_COPY(answer.value))
                                            : datumCopy(answer.value, false, cache->result_length);
  MemoryContextSwitchTo(previous);
  return answer;
}

}  // namespace

Answer ReadTable(Cache* cache, const NullableDatum* values) {
  MemoryContext context = CurrentMemoryContext;
  SPI_connect();
  Datum arguments[FUNC_MAX_ARGS];
  for (int i = 0; i < cache->keys; ++i) arguments[i] = values[i].value;
  // read_only: under the snapshot that is active now, the one that the answer is judged by.
  int status = SPI_execute_plan(PlanOf(cache), arguments, nullptr, true, cache->unique ? 2 : 1);
  if (status != SPI_OK_SELECT)
    ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
                    errmsg("could not read the table of cache \"%s\": %s",
                           get_func_name(cache->function), SPI_result_code_string(status))));
  Answer answer = FirstValue(cache, context);
  SPI_finish();
  return answer;
}

}  // namespace teamscale

// What the views read.
#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/cache/definition.h"
#include "teamscale/postgres/cache/shared_cache.h"

extern "C" {
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"
}

namespace teamscale {

namespace {

const char* StateOf(const Cache* cache) {
  switch (cache->guard) {
    case Guard::kGuarded:
      return cache->place == kNoPlace ? "in recovery" : "in use";
    case Guard::kNoTrigger:
      return "without trigger";
    case Guard::kRowSecurity:
      return "row security";
    case Guard::kForeign:
      return "unseen changes";
    case Guard::kNoPlace:
      return "max_caches reached";
    case Guard::kNotLoaded:
      return "not preloaded";
    case Guard::kMisfit:
      return "does not fit";
  }
  pg_unreachable();
}

Datum CountsArray(const CacheCounts& counts) {
  Datum elements[kCacheCounts];
  for (int i = 0; i < kCacheCounts; ++i)
    elements[i] = Int64GetDatum(static_cast<std::int64_t>(counts.count[i]));
  return PointerGetDatum(construct_array(elements, kCacheCounts, INT8OID, sizeof(std::int64_t),
                                         true, TYPALIGN_DOUBLE));
}

std::int64_t BytesOf(const Cache* cache) {
  if (cache->place == kNoPlace) return 0;
  return static_cast<std::int64_t>(arena.state(cache->place).blocks.load() * sizeof(core::Block));
}

// What a stripe's check says, copied out of the lock. Guarded dialect.
std::string CheckStripe(std::uint32_t stripe) {
  CallPostgres([&] { LockStripe(stripe); });
  std::string problem = arena.Check(stripe);
  CallPostgres([&] { UnlockStripe(stripe); });
  return problem;
}

void PutProblems(const ReturnSetInfo* result) {
  for (std::uint32_t i = 0; i < arena.stripes(); ++i) {
    std::string problem = CheckStripe(i);
    if (problem.empty()) continue;
    CallPostgres([&] {
      Datum values[2] = {Int32GetDatum(static_cast<int32>(i)),
                         CStringGetTextDatum(problem.c_str())};
      bool nulls[2] = {false, false};
      tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    });
  }
}

}  // namespace

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_cache_figures) {
  using namespace teamscale;
  InitMaterializedSRF(fcinfo, 0);
  auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  // This session's own calls are in the figures that it sees.
  FlushCounts();
  Caches all = AllCaches();
  for (int i = 0; i < all.count; ++i) {
    const Cache* cache = all.cache[i];
    Datum values[5] = {ObjectIdGetDatum(cache->function), CStringGetTextDatum(StateOf(cache)),
                       cache->culprit ? CStringGetTextDatum(cache->culprit) : Datum{0},
                       Int64GetDatum(BytesOf(cache)), CountsArray(CountsOf(cache))};
    bool nulls[5] = {false, false, cache->culprit == nullptr, false, false};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  return Datum{0};
}

TEAMSCALE_SQL_FUNCTION(teamscale_arena_figures) {
  using namespace teamscale;
  TupleDesc descriptor;
  if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
    elog(ERROR, "return type must be a row type");
  core::ArenaFigures figures{};
  if (HasArena()) figures = arena.Figures();
  Datum values[5] = {Int64GetDatum(static_cast<std::int64_t>(figures.bytes)),
                     Int64GetDatum(static_cast<std::int64_t>(figures.block_bytes)),
                     Int64GetDatum(static_cast<std::int64_t>(figures.used_bytes)),
                     Int64GetDatum(static_cast<std::int64_t>(figures.entries)),
                     Int64GetDatum(static_cast<std::int64_t>(figures.evictions))};
  bool nulls[5] = {};
  PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}

TEAMSCALE_SQL_FUNCTION(teamscale_check_arena) {
  using namespace teamscale;
  InitMaterializedSRF(fcinfo, 0);
  auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  if (HasArena()) EnterFromPostgres([&] { PutProblems(result); });
  return Datum{0};
}

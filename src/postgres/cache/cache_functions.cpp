// flush_cache() and cache_contains().
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/cache/answer.h"
#include "teamscale/postgres/cache/cache_name.h"
#include "teamscale/postgres/cache/key_image.h"
#include "teamscale/postgres/cache/shared_cache.h"

extern "C" {
#include "access/xlog.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
}

namespace teamscale {

namespace {

void FlushKey(const Cache* cache, const KeyImage& image) {
  if (cache->place == kNoPlace) return;
  std::uint32_t stripe = arena.StripeOf(image.hash);
  LockStripe(stripe);
  arena.Drop(image.hash);
  UnlockStripe(stripe);
}

bool Contains(Cache* cache, const KeyImage& image) {
  if (WhyBypassed(cache) != kHits || !image.fits) return false;
  core::Reader reader{};
  reader.stamp = arena.Stamp(cache->place);
  reader.floor = arena.Floor(cache->place);
  reader.horizon = FullXid(GetActiveSnapshot()->xmin);
  reader.now = GetCurrentTimestamp();
  return arena.Find(image.key(), reader).outcome == core::Lookup::kHit;
}

}  // namespace

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_flush_cache) {
  using namespace teamscale;
  Cache* cache = CacheOfName(text_to_cstring(PG_GETARG_TEXT_PP(0)));
  CheckCacheOwner(cache);
  // A raised floor would keep readers out; a new stamp is enough, for nothing has changed.
  if (cache->place != kNoPlace) RaiseFloor(cache->function);
  PG_RETURN_VOID();
}

TEAMSCALE_SQL_FUNCTION(teamscale_flush_cache_key) {
  using namespace teamscale;
  if (PG_ARGISNULL(0)) PG_RETURN_NULL();
  Cache* cache = CacheOfName(text_to_cstring(PG_GETARG_TEXT_PP(0)));
  CheckCacheOwner(cache);
  NullableDatum values[INDEX_MAX_KEYS];
  if (!KeyOfArguments(fcinfo, 1, cache, values)) PG_RETURN_VOID();
  KeyImage image;
  MakeKeyImage(cache, values, &image);
  FlushKey(cache, image);
  PG_RETURN_VOID();
}

TEAMSCALE_SQL_FUNCTION(teamscale_cache_contains) {
  using namespace teamscale;
  if (PG_ARGISNULL(0)) PG_RETURN_NULL();
  Cache* cache = CacheOfName(text_to_cstring(PG_GETARG_TEXT_PP(0)));
  CheckRights(cache);
  NullableDatum values[INDEX_MAX_KEYS];
  if (!KeyOfArguments(fcinfo, 1, cache, values)) PG_RETURN_BOOL(false);
  KeyImage image;
  MakeKeyImage(cache, values, &image);
  PG_RETURN_BOOL(Contains(cache, image));
}

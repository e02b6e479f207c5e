#include "teamscale/postgres/cache/cache.h"

#include "teamscale/postgres/cache/cache_advice.h"
#include "teamscale/postgres/cache/definition.h"
#include "teamscale/postgres/cache/definition_changes.h"
#include "teamscale/postgres/cache/drop_cache.h"
#include "teamscale/postgres/cache/flight.h"
#include "teamscale/postgres/cache/guard_removal.h"
#include "teamscale/postgres/cache/shared_cache.h"
#include "teamscale/postgres/cache/statistics.h"
#include "teamscale/postgres/cache/warm_cache.h"
#include "teamscale/postgres/cache/write_notice.h"

namespace teamscale {

void InitCache() {
  InitGuardRemoval();
  InitSharedCache();
  InitCacheAdvice();
  InitCacheStatistics();
  InitFlight();
  InitDefinitions();
  InitDefinitionChanges();
  InitDropCache();
  InitCacheWarming();
  InitWriteNotice();
}

}  // namespace teamscale

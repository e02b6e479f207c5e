#include "teamscale/postgres/cache/guard_removal.h"

#ifdef TEAMSCALE_WAIT_POINTS

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "utils/guc.h"
}

namespace teamscale {

namespace {
char* removed_guard = nullptr;
}

void InitGuardRemoval() {
  DefineCustomStringVariable("teamscale.removed_guard",
                             "The guard of the cache that the test build does without.", nullptr,
                             &removed_guard, "", PGC_SUSET, 0, nullptr, nullptr, nullptr);
}

bool GuardIsRemoved(const char* name) {
  return removed_guard && *removed_guard && strcmp(removed_guard, name) == 0;
}

}  // namespace teamscale

#endif

// The query that answers a cache's function. Plain dialect.
#pragma once

#include "teamscale/postgres/cache/definition.h"

namespace teamscale {

// Its key columns and result are known; order and filter are in their canonical form, or null.
char* QueryOfCache(const Cache* cache, char** value_names, int values, const char* order,
                   const char* filter);

}  // namespace teamscale

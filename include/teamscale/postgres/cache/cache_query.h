// The queries on a cache's table. Plain dialect.
#pragma once

#include "teamscale/postgres/cache/definition.h"

namespace teamscale {

// The query that answers its function. Its key columns and result are known; order and filter are
// in their canonical form, or null.
char* QueryOfCache(const Cache* cache, char** value_names, int values, const char* order,
                   const char* filter);

// The query that gives each key that has rows once.
char* KeyQueryOfCache(const Cache* cache, const char* filter);

}  // namespace teamscale

// Caches and keys as SQL functions take them. Plain dialect.
#pragma once

#include "teamscale/postgres/cache/definition.h"

namespace teamscale {

// The cache of that name, with or without its schema; raises 42704 when there is none, 42725 when
// there are several.
Cache* CacheOfName(const char* name);
// The name of its function, with the schema, quoted.
const char* QualifiedName(const Cache* cache);
// Raises 42501 unless the current user owns the cache's function.
void CheckCacheOwner(const Cache* cache);

// The key in the arguments from the given one on, declared "any". False: one is null.
bool KeyOfArguments(FunctionCallInfo fcinfo, int first, const Cache* cache, NullableDatum* values);

}  // namespace teamscale

// Caches of sharded tables: a key whose rows are on another node is asked there, whose own cache
// answers; caches are made and dropped on all nodes at once. Plain dialect.
#pragma once

namespace teamscale {

// Tells the cache. Called once by _PG_init.
void InitCachedKeys();

}  // namespace teamscale

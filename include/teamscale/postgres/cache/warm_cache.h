// warm_cache(): reads a cache's keys in a session of the cache's owner, until memory is full. Plain
// dialect.
#pragma once

namespace teamscale {

// Registers the job. Called once by _PG_init.
void InitCacheWarming();

}  // namespace teamscale

// Caches that go: by drop_cache(), with their function or with their table. Plain dialect.
#pragma once

namespace teamscale {

// Sets the object access hook. Called once by _PG_init.
void InitDropCache();

}  // namespace teamscale

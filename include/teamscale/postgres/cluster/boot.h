// Whether the server loaded teamscale at its start, and which start this is.
#pragma once

#include <cstdint>

namespace teamscale {

// Requests the shared memory when the server is starting. Called once by _PG_init.
void InitBoot();

// Whether the library came in by shared_preload_libraries. Without it there is no shared memory and
// no worker, and nothing sharded may be served.
bool LoadedAtServerStart();

// Random bits drawn when shared memory is made: at each start and each restart after a crash.
std::uint64_t ServerBootId();

}  // namespace teamscale

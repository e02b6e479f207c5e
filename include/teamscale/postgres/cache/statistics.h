// What caches count. Each backend counts by itself and adds to the server's figures at the end of
// its transactions, and before it looks at them. Plain dialect.
#pragma once

#include <cstdint>

#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

enum CacheCount : int {
  kHits,
  // Misses, by reason: the table was read.
  kAbsent,
  kExpired,
  kRecentWrite,  // a writer of the key was not known to have ended when the snapshot was taken
  // Calls that did not look: the table was read.
  kOwnWrite,
  kSerializable,
  kRecovery,
  kRowSecurity,
  kNotGuarded,
  kLogicalApply,
  kOtherBypass,  // no snapshot that it could be judged by; a key too long
  // Answers that were read and not installed, by reason.
  kInstallRecentWrite,
  kInstallOutdated,
  kInstallDefinition,  // the table's definition was being changed
  kInstallTooLarge,
  // The rest.
  kInstalls,
  kValueBytes,  // of those installed
  kNegative,    // of those installed, without a row
  kDropped,     // by writers
  kFlightWaits,
  kRemote,
  kNearHits,
  kCacheCounts
};

struct CacheCounts {
  std::uint64_t count[kCacheCounts];
};

// Registers callbacks and asks for memory. Called once by _PG_init.
void InitCacheStatistics();

// Adds what this backend has counted to the server's figures. Never raises.
void FlushCounts() noexcept;

}  // namespace teamscale

// What hit ratio the server's caches would have with more memory, or less: see core/cache/advice.h.
// Plain dialect.
#pragma once

#include <cstdint>

#include "teamscale/core/cache/advice.h"
#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

// Asks for the memory. Called once by _PG_init, after the arena's.
void InitCacheAdvice();

extern core::Advice advice;
// Look-ups of this process since it last told of them.
extern std::uint64_t untold_look_ups;

void TellLookUp(std::uint64_t hash, std::uint64_t blocks);
void TellChange(std::uint64_t hash);

// A call's answer was in the arena, or is now; it takes so many blocks there.
inline void NoteLookUp(std::uint64_t hash, std::uint64_t blocks) {
  ++untold_look_ups;
  if (unlikely(advice.IsSampled(hash))) TellLookUp(hash, blocks);
}

// A writer drops the key.
inline void NoteChange(std::uint64_t hash) {
  if (unlikely(advice.IsSampled(hash))) TellChange(hash);
}

}  // namespace teamscale

// The cache in shared memory: the arena, its locks, and the places of caches in it.
//
// A *place* is a cache's index in the arena. A process that knows a cache keeps its place, and
// finds by the owner word when another cache has got it. Plain dialect.
#pragma once

#include <cstdint>

#include "teamscale/core/cache/arena.h"
#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "miscadmin.h"
}

namespace teamscale {

// Defines the settings and asks for the memory. Called once by _PG_init.
void InitSharedCache();

// Whether the server was started with an arena.
bool HasArena();
// Of the arena that there will be, while the server starts.
std::uint64_t ArenaBlocks();
// teamscale.max_caches.
std::uint32_t MaxCaches();
extern core::Arena arena;

constexpr std::uint32_t kNoPlace = UINT32_MAX;
constexpr std::uint64_t OwnerOf(Oid database, Oid function) {
  return std::uint64_t{database} << 32 | function;
}

// The place of a cache of this database, made on first use; its floor is then every transaction
// that has begun. kNoPlace when all places are taken by caches that are there. Not in recovery.
std::uint32_t PlaceOfCache(Oid function);
// Whether the place is still the cache's.
inline bool OwnsPlace(std::uint32_t place, Oid function) {
  return arena.state(place).owner.load(std::memory_order_acquire) ==
         OwnerOf(MyDatabaseId, function);
}
// Drops all entries of a cache, and keeps out whoever cannot see the end of all transactions that
// have begun. Nothing when the cache has no place.
void RaiseFloor(Oid function);
// Gives the place back and frees its memory. Never raises.
void ForgetCache(Oid function) noexcept;

// The stripe's lock, exclusively. The caller does nothing meanwhile that may raise.
void LockStripe(std::uint32_t stripe);
void UnlockStripe(std::uint32_t stripe);

// The next transaction id to be assigned, in full. A single load: this is part of every hit.
std::uint64_t NextFullXid();
// A transaction id that somebody here holds, or a snapshot's xmin, in full.
inline std::uint64_t FullXid(TransactionId xid) {
  std::uint64_t next = NextFullXid();
  return next - static_cast<std::uint32_t>(static_cast<std::uint32_t>(next) - xid);
}

}  // namespace teamscale

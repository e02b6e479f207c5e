#include "teamscale/postgres/cache/shared_cache.h"

#include <algorithm>

extern "C" {
#include "access/transam.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/guc.h"
#include "utils/syscache.h"
}

namespace teamscale {

core::Arena arena;

namespace {

constexpr int kDefaultKilobytes = 64 * 1024;
constexpr int kLeastKilobytes = 1024;
constexpr int kDefaultCaches = 128;
constexpr int kMostCaches = 8192;

int cache_kilobytes = kDefaultKilobytes;
int max_caches = kDefaultCaches;

void* memory = nullptr;
// Of the places, then of each stripe.
LWLockPadded* locks = nullptr;
shmem_request_hook_type previous_shmem_request = nullptr;
shmem_startup_hook_type previous_shmem_startup = nullptr;

std::uint64_t ArenaBytes() {
  return std::max(std::uint64_t{1024} * static_cast<std::uint64_t>(cache_kilobytes),
                  core::Arena::MinimalBytes(static_cast<std::uint32_t>(max_caches)));
}

constexpr int kMostStripes = 256;

// Every transaction that has begun, and none that has not.
std::uint64_t LastFullXid() { return U64FromFullTransactionId(ReadNextFullTransactionId()) - 1; }

void RequestSharedMemory() {
  if (previous_shmem_request) previous_shmem_request();
  RequestAddinShmemSpace(ArenaBytes() + core::kCacheLine);
  RequestNamedLWLockTranche("teamscale cache", 1 + kMostStripes);
}

void StartSharedMemory() {
  if (previous_shmem_startup) previous_shmem_startup();
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  bool found;
  void* segment = ShmemInitStruct("teamscale cache", ArenaBytes() + core::kCacheLine, &found);
  memory = reinterpret_cast<void*>(TYPEALIGN(core::kCacheLine, segment));
  if (!found) {
    memset(memory, 0, ArenaBytes());
    core::Arena::Format(memory, ArenaBytes(), static_cast<std::uint32_t>(max_caches));
  }
  arena = core::Arena(memory);
  locks = GetNamedLWLockTranche("teamscale cache");
  LWLockRelease(AddinShmemInitLock);
}

LWLock* PlacesLock() { return &locks[0].lock; }

// With the lock held.
std::uint32_t FindPlace(std::uint64_t owner) {
  for (std::uint32_t i = 0; i < arena.caches(); ++i)
    if (arena.state(i).owner.load(std::memory_order_relaxed) == owner) return i;
  return kNoPlace;
}

// Caches that were dropped by transactions of databases that are gone, or by DROP FUNCTION in a
// way that nobody saw, leave their places behind. Reads catalogs: before the lock is taken.
void ReclaimPlaces() {
  for (std::uint32_t i = 0; i < arena.caches(); ++i) {
    std::uint64_t owner = arena.state(i).owner.load(std::memory_order_acquire);
    if (owner == 0) continue;
    auto database = static_cast<Oid>(owner >> 32);
    auto function = static_cast<Oid>(owner);
    if (database == MyDatabaseId ? SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(function))
                                 : SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(database)))
      continue;
    LWLockAcquire(PlacesLock(), LW_EXCLUSIVE);
    if (arena.state(i).owner.load(std::memory_order_relaxed) == owner) arena.Reset(i, 0);
    LWLockRelease(PlacesLock());
  }
}

std::uint32_t MakePlace(std::uint64_t owner) {
  LWLockAcquire(PlacesLock(), LW_EXCLUSIVE);
  std::uint32_t place = FindPlace(owner);
  if (place == kNoPlace && (place = FindPlace(0)) != kNoPlace) {
    arena.Reset(place, owner);
    // No process may use the place with a floor that is older than this.
    arena.RaiseFloor(place, LastFullXid());
  }
  LWLockRelease(PlacesLock());
  return place;
}

void DefineSettings() {
  DefineCustomIntVariable("teamscale.cache_size", "Shared memory for the answers of caches.",
                          nullptr, &cache_kilobytes, kDefaultKilobytes, kLeastKilobytes, INT_MAX,
                          PGC_POSTMASTER, GUC_UNIT_KB, nullptr, nullptr, nullptr);
  DefineCustomIntVariable("teamscale.max_caches",
                          "How many caches the databases of this server may have in use.", nullptr,
                          &max_caches, kDefaultCaches, 1, kMostCaches, PGC_POSTMASTER, 0, nullptr,
                          nullptr, nullptr);
}

}  // namespace

void InitSharedCache() {
  if (!process_shared_preload_libraries_in_progress) return;
  DefineSettings();
  previous_shmem_request = shmem_request_hook;
  shmem_request_hook = RequestSharedMemory;
  previous_shmem_startup = shmem_startup_hook;
  shmem_startup_hook = StartSharedMemory;
}

std::uint32_t MaxCaches() { return static_cast<std::uint32_t>(max_caches); }

std::uint64_t ArenaBlocks() {
  return core::Arena::BlocksIn(ArenaBytes(), static_cast<std::uint32_t>(max_caches));
}

bool HasArena() { return memory != nullptr; }

std::uint32_t PlaceOfCache(Oid function) {
  std::uint64_t owner = OwnerOf(MyDatabaseId, function);
  LWLockAcquire(PlacesLock(), LW_SHARED);
  std::uint32_t place = FindPlace(owner);
  LWLockRelease(PlacesLock());
  if (place == kNoPlace) place = MakePlace(owner);
  if (place == kNoPlace) {
    ReclaimPlaces();
    place = MakePlace(owner);
  }
  return place;
}

void RaiseFloor(Oid function) {
  LWLockAcquire(PlacesLock(), LW_EXCLUSIVE);
  std::uint32_t place = FindPlace(OwnerOf(MyDatabaseId, function));
  if (place != kNoPlace) arena.RaiseFloor(place, LastFullXid());
  LWLockRelease(PlacesLock());
}

void ForgetCache(Oid function) noexcept {
  LWLockAcquire(PlacesLock(), LW_EXCLUSIVE);
  std::uint32_t place = FindPlace(OwnerOf(MyDatabaseId, function));
  if (place != kNoPlace) arena.Reset(place, 0);
  LWLockRelease(PlacesLock());
  if (place == kNoPlace) return;
  for (std::uint32_t i = 0; i < arena.stripes(); ++i) {
    LockStripe(i);
    arena.Sweep(i);
    UnlockStripe(i);
  }
}

void LockStripe(std::uint32_t stripe) { LWLockAcquire(&locks[1 + stripe].lock, LW_EXCLUSIVE); }
void UnlockStripe(std::uint32_t stripe) { LWLockRelease(&locks[1 + stripe].lock); }

std::uint64_t NextFullXid() {
#ifdef PG_HAVE_8BYTE_SINGLE_COPY_ATOMICITY
  // Whoever could have changed it unseen has a newer transaction than any that the caller knows.
  return *static_cast<volatile std::uint64_t*>(&ShmemVariableCache->nextXid.value);
#else
  return U64FromFullTransactionId(ReadNextFullTransactionId());
#endif
}

}  // namespace teamscale

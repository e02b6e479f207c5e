#include "teamscale/postgres/cache/statistics.h"

#include "teamscale/postgres/cache/definition.h"
#include "teamscale/postgres/cache/shared_cache.h"

extern "C" {
#include "access/xact.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
}

namespace teamscale {

namespace {

struct SharedCounts {
  pg_atomic_uint64 owner;  // whose counts these are
  pg_atomic_uint64 count[kCacheCounts];
};

SharedCounts* shared = nullptr;
shmem_request_hook_type previous_shmem_request = nullptr;
shmem_startup_hook_type previous_shmem_startup = nullptr;

// Caches of this backend that have counted something since the last flush.
CacheHistory* pending = nullptr;

void RequestSharedMemory() {
  if (previous_shmem_request) previous_shmem_request();
  RequestAddinShmemSpace(sizeof(SharedCounts) * MaxCaches());
}

void StartSharedMemory() {
  if (previous_shmem_startup) previous_shmem_startup();
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  bool found;
  std::size_t bytes = sizeof(SharedCounts) * MaxCaches();
  shared = static_cast<SharedCounts*>(ShmemInitStruct("teamscale cache statistics", bytes, &found));
  if (!found) memset(static_cast<void*>(shared), 0, bytes);
  LWLockRelease(AddinShmemInitLock);
}

// The place may have been another cache's before.
SharedCounts* CountsOfPlace(std::uint32_t place, Oid function) {
  SharedCounts* counts = &shared[place];
  std::uint64_t owner = OwnerOf(MyDatabaseId, function);
  std::uint64_t present = pg_atomic_read_u64(&counts->owner);
  if (present != owner && pg_atomic_compare_exchange_u64(&counts->owner, &present, owner))
    for (pg_atomic_uint64& count : counts->count) pg_atomic_write_u64(&count, 0);
  return counts;
}

void FlushHistory(CacheHistory* history) {
  if (history->place != kNoPlace && OwnsPlace(history->place, history->function)) {
    SharedCounts* counts = CountsOfPlace(history->place, history->function);
    for (int i = 0; i < kCacheCounts; ++i)
      if (history->counts.count[i])
        pg_atomic_fetch_add_u64(&counts->count[i],
                                static_cast<std::int64_t>(history->counts.count[i]));
  }
  history->counts = CacheCounts{};
}

void OnTransactionEnd(XactEvent event, void*) {
  switch (event) {
    case XACT_EVENT_COMMIT:
    case XACT_EVENT_PARALLEL_COMMIT:
    case XACT_EVENT_ABORT:
    case XACT_EVENT_PARALLEL_ABORT:
    case XACT_EVENT_PREPARE:
      FlushCounts();
      break;
    default:
      break;
  }
}

}  // namespace

void InitCacheStatistics() {
  RegisterXactCallback(OnTransactionEnd, nullptr);
  if (!process_shared_preload_libraries_in_progress) return;
  previous_shmem_request = shmem_request_hook;
  shmem_request_hook = RequestSharedMemory;
  previous_shmem_startup = shmem_startup_hook;
  shmem_startup_hook = StartSharedMemory;
}

void NotePending(CacheHistory* history) {
  history->pending = true;
  history->next_pending = pending;
  pending = history;
}

void FlushCounts() noexcept {
  while (pending) {
    CacheHistory* history = pending;
    pending = history->next_pending;
    history->pending = false;
    FlushHistory(history);
  }
}

CacheCounts CountsOf(const Cache* cache) {
  CacheCounts counts{};
  if (cache->place == kNoPlace) return counts;
  SharedCounts* kept = CountsOfPlace(cache->place, cache->function);
  for (int i = 0; i < kCacheCounts; ++i) counts.count[i] = pg_atomic_read_u64(&kept->count[i]);
  return counts;
}

}  // namespace teamscale

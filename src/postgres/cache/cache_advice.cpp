#include "teamscale/postgres/cache/cache_advice.h"

#include <utility>

#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/cache/shared_cache.h"

extern "C" {
#include "funcapi.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/tuplestore.h"
}

namespace teamscale {

core::Advice advice;
std::uint64_t untold_look_ups = 0;

namespace {

LWLock* lock = nullptr;
shmem_request_hook_type previous_shmem_request = nullptr;
shmem_startup_hook_type previous_shmem_startup = nullptr;

void RequestSharedMemory() {
  if (previous_shmem_request) previous_shmem_request();
  RequestAddinShmemSpace(core::Advice::Bytes(ArenaBlocks()));
  RequestNamedLWLockTranche("teamscale cache advice", 1);
}

void StartSharedMemory() {
  if (previous_shmem_startup) previous_shmem_startup();
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  bool found;
  std::size_t bytes = core::Advice::Bytes(ArenaBlocks());
  void* memory = ShmemInitStruct("teamscale cache advice", bytes, &found);
  if (!found) memset(memory, 0, bytes);
  advice = core::Advice(memory, ArenaBlocks());
  lock = &GetNamedLWLockTranche("teamscale cache advice")->lock;
  LWLockRelease(AddinShmemInitLock);
}

}  // namespace

void InitCacheAdvice() {
  if (!process_shared_preload_libraries_in_progress) return;
  previous_shmem_request = shmem_request_hook;
  shmem_request_hook = RequestSharedMemory;
  previous_shmem_startup = shmem_startup_hook;
  shmem_startup_hook = StartSharedMemory;
}

pg_noinline void TellLookUp(std::uint64_t hash, std::uint64_t blocks) {
  LWLockAcquire(lock, LW_EXCLUSIVE);
  advice.Access(hash, static_cast<std::uint32_t>(blocks), std::exchange(untold_look_ups, 0));
  LWLockRelease(lock);
}

pg_noinline void TellChange(std::uint64_t hash) {
  LWLockAcquire(lock, LW_EXCLUSIVE);
  advice.Drop(hash);
  LWLockRelease(lock);
}

}  // namespace teamscale

// (quarters of the memory that there is, hit ratio), a row for each size.
TEAMSCALE_SQL_FUNCTION(teamscale_cache_advice) {
  using namespace teamscale;
  InitMaterializedSRF(fcinfo, 0);
  auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  if (!HasArena()) return Datum{0};
  for (int size = 0; size < core::Advice::kSizes; ++size) {
    LWLockAcquire(lock, LW_SHARED);
    double ratio = advice.HitRatio(size);
    LWLockRelease(lock);
    Datum values[2] = {Int32GetDatum(static_cast<int32>(core::Advice::kQuarters[size])),
                       Float8GetDatum(ratio)};
    bool nulls[2] = {false, ratio < 0};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
  }
  return Datum{0};
}

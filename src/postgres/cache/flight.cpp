#include "teamscale/postgres/cache/flight.h"

extern "C" {
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
}

namespace teamscale {

namespace {

constexpr int kSlots = 256;

struct Slot {
  slock_t lock;
  std::uint64_t hash;
  std::uint32_t place;
  int owner;  // 0: free
  ConditionVariable ended;
};

Slot* slots = nullptr;
int wait_timeout_ms = 500;
bool exit_registered = false;
shmem_request_hook_type previous_shmem_request = nullptr;
shmem_startup_hook_type previous_shmem_startup = nullptr;

void RequestSharedMemory() {
  if (previous_shmem_request) previous_shmem_request();
  RequestAddinShmemSpace(kSlots * sizeof(Slot));
}

void StartSharedMemory() {
  if (previous_shmem_startup) previous_shmem_startup();
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  bool found;
  slots =
      static_cast<Slot*>(ShmemInitStruct("teamscale cache flights", kSlots * sizeof(Slot), &found));
  if (!found) {
    for (int i = 0; i < kSlots; ++i) {
      slots[i] = Slot{};
      SpinLockInit(&slots[i].lock);
      ConditionVariableInit(&slots[i].ended);
    }
  }
  LWLockRelease(AddinShmemInitLock);
}

void Free(Slot* slot) {
  SpinLockAcquire(&slot->lock);
  bool mine = slot->owner == MyProcPid;
  if (mine) slot->owner = 0;
  SpinLockRelease(&slot->lock);
  if (mine) ConditionVariableBroadcast(&slot->ended);
}

// A backend that ends in the middle of reading (FATAL does not come by EndFlight).
void FreeAll(int, Datum) {
  for (int i = 0; i < kSlots; ++i)
    if (slots[i].owner == MyProcPid) Free(&slots[i]);
}

bool IsUnderWay(const FlightTicket& ticket) {
  Slot* slot = &slots[ticket.slot];
  SpinLockAcquire(&slot->lock);
  bool same = slot->owner != 0 && slot->hash == ticket.hash && slot->place == ticket.place;
  SpinLockRelease(&slot->lock);
  return same;
}

}  // namespace

void InitFlight() {
  DefineCustomIntVariable(
      "teamscale.cache_wait_timeout",
      "How long to wait for another session that is reading the same key of a cache.",
      "Afterwards the session reads the table itself. 0: never wait.", &wait_timeout_ms, 500, 0,
      60000, PGC_USERSET, GUC_UNIT_MS, nullptr, nullptr, nullptr);
  if (!process_shared_preload_libraries_in_progress) return;
  previous_shmem_request = shmem_request_hook;
  shmem_request_hook = RequestSharedMemory;
  previous_shmem_startup = shmem_startup_hook;
  shmem_startup_hook = StartSharedMemory;
}

bool BeginFlight(std::uint64_t hash, std::uint32_t place, FlightTicket* ticket) {
  if (!exit_registered) {
    before_shmem_exit(FreeAll, Datum{0});
    exit_registered = true;
  }
  int index = static_cast<int>((hash >> 20) % kSlots);
  Slot* slot = &slots[index];
  *ticket = {hash, place, -1};
  bool mine = true;
  SpinLockAcquire(&slot->lock);
  if (slot->owner == 0) {
    slot->owner = MyProcPid;
    slot->hash = hash;
    slot->place = place;
    ticket->slot = index;
  } else if (slot->owner != MyProcPid && slot->hash == hash && slot->place == place) {
    ticket->slot = index;
    mine = false;
  }
  SpinLockRelease(&slot->lock);
  return mine || wait_timeout_ms == 0;
}

void EndFlight(const FlightTicket& ticket) noexcept {
  if (ticket.slot >= 0) Free(&slots[ticket.slot]);
}

void AwaitFlight(const FlightTicket& ticket) {
  TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), wait_timeout_ms);
  ConditionVariable* ended = &slots[ticket.slot].ended;
  ConditionVariablePrepareToSleep(ended);
  while (IsUnderWay(ticket)) {
    long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
    if (left <= 0 || ConditionVariableTimedSleep(ended, left, PG_WAIT_EXTENSION)) break;
  }
  ConditionVariableCancelSleep();
}

}  // namespace teamscale

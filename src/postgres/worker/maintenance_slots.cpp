#include "teamscale/postgres/worker/maintenance_slots.h"

#include <csignal>

extern "C" {
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "utils/hsearch.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
}

namespace teamscale {

namespace {

constexpr int kMaxDatabases = 1024;
// How long a database stays without a worker for a DROP DATABASE, and how long that waits for it.
constexpr int kEvictionMilliseconds = 10000;
constexpr int kLeaveMilliseconds = 4000;
constexpr int kPollMilliseconds = 10;

struct Slot {
  Oid database;  // hash key
  pid_t worker;  // 0: none
  Latch* latch;
  std::uint32_t requests;               // a bit for each task
  std::uint64_t lacks_extension_since;  // a value of extension_changes; 0: not known to lack it
  TimestampTz evicted_until;
};

struct LauncherState {
  Latch* latch;
  std::uint64_t extension_changes;
};

HTAB* slots = nullptr;
LauncherState* launcher = nullptr;
LWLock* lock = nullptr;
shmem_request_hook_type previous_shmem_request = nullptr;
shmem_startup_hook_type previous_shmem_startup = nullptr;

// The database whose slot this process has taken.
Oid entered = InvalidOid;

void RequestSharedMemory() {
  if (previous_shmem_request) previous_shmem_request();
  RequestAddinShmemSpace(hash_estimate_size(kMaxDatabases, sizeof(Slot)));
  RequestAddinShmemSpace(sizeof(LauncherState));
  RequestNamedLWLockTranche("teamscale maintenance", 1);
}

void StartSharedMemory() {
  if (previous_shmem_startup) previous_shmem_startup();
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  HASHCTL control{};
  control.keysize = sizeof(Oid);
  control.entrysize = sizeof(Slot);
  slots = ShmemInitHash("teamscale maintenance slots", kMaxDatabases, kMaxDatabases, &control,
                        HASH_ELEM | HASH_BLOBS);
  bool found;
  launcher = static_cast<LauncherState*>(
      ShmemInitStruct("teamscale launcher", sizeof(LauncherState), &found));
  if (!found) *launcher = {.latch = nullptr, .extension_changes = 1};
  lock = &GetNamedLWLockTranche("teamscale maintenance")->lock;
  LWLockRelease(AddinShmemInitLock);
}

// With the lock held.
Slot* FindSlot(Oid database) {
  return static_cast<Slot*>(hash_search(slots, &database, HASH_FIND, nullptr));
}

// With the lock held exclusively. Null when the table is full.
Slot* MakeSlot(Oid database) {
  bool found;
  auto* slot = static_cast<Slot*>(hash_search(slots, &database, HASH_ENTER_NULL, &found));
  if (slot && !found) {
    *slot = Slot{};
    slot->database = database;
  }
  return slot;
}

void WakeLauncher() {
  if (launcher->latch) SetLatch(launcher->latch);
}

void UnregisterLauncher(int, Datum) {
  LWLockAcquire(lock, LW_EXCLUSIVE);
  if (launcher->latch == MyLatch) launcher->latch = nullptr;
  LWLockRelease(lock);
}

void LeaveDatabase(int, Datum) {
  LWLockAcquire(lock, LW_EXCLUSIVE);
  if (Slot* slot = FindSlot(entered); slot && slot->worker == MyProcPid) {
    slot->worker = 0;
    slot->latch = nullptr;
  }
  WakeLauncher();
  LWLockRelease(lock);
}

bool IsEvicted(const Slot* slot) { return slot->evicted_until > GetCurrentTimestamp(); }

// The worker in the database, 0 when it has left.
pid_t WorkerIn(Oid database) {
  LWLockAcquire(lock, LW_SHARED);
  Slot* slot = FindSlot(database);
  pid_t worker = slot ? slot->worker : 0;
  LWLockRelease(lock);
  return worker;
}

}  // namespace

void InitMaintenanceSlots() {
  previous_shmem_request = shmem_request_hook;
  shmem_request_hook = RequestSharedMemory;
  previous_shmem_startup = shmem_startup_hook;
  shmem_startup_hook = StartSharedMemory;
}

void RegisterLauncher() {
  LWLockAcquire(lock, LW_EXCLUSIVE);
  launcher->latch = MyLatch;
  LWLockRelease(lock);
  before_shmem_exit(UnregisterLauncher, Datum{0});
}

std::uint64_t ExtensionChanges() {
  LWLockAcquire(lock, LW_SHARED);
  std::uint64_t changes = launcher->extension_changes;
  LWLockRelease(lock);
  return changes;
}

WorkerNeed NeedOfWorker(Oid database) {
  LWLockAcquire(lock, LW_EXCLUSIVE);
  Slot* slot = MakeSlot(database);
  bool needed = slot && slot->worker == 0 && !IsEvicted(slot) &&
                slot->lacks_extension_since != launcher->extension_changes;
  LWLockRelease(lock);
  return needed ? WorkerNeed::kStart : WorkerNeed::kNone;
}

void ForgetDatabase(Oid database) {
  LWLockAcquire(lock, LW_EXCLUSIVE);
  Slot* slot = FindSlot(database);
  if (slot && slot->worker == 0) hash_search(slots, &database, HASH_REMOVE, nullptr);
  LWLockRelease(lock);
}

bool EnterDatabase(Oid database) {
  LWLockAcquire(lock, LW_EXCLUSIVE);
  Slot* slot = MakeSlot(database);
  bool taken = slot && slot->worker == 0 && !IsEvicted(slot);
  if (taken) {
    slot->worker = MyProcPid;
    slot->latch = MyLatch;
    // The changes up to now are those that the coming look at the database sees.
    slot->lacks_extension_since = 0;
    entered = database;
  }
  LWLockRelease(lock);
  if (taken) before_shmem_exit(LeaveDatabase, Datum{0});
  return taken;
}

void ReportNoExtension(std::uint64_t changes) {
  LWLockAcquire(lock, LW_EXCLUSIVE);
  if (Slot* slot = FindSlot(entered)) slot->lacks_extension_since = changes;
  LWLockRelease(lock);
}

bool AnyRequest() {
  LWLockAcquire(lock, LW_SHARED);
  Slot* slot = FindSlot(entered);
  bool requested = slot && slot->requests != 0;
  LWLockRelease(lock);
  return requested;
}

bool TakeRequest(MaintenanceTaskId task) {
  std::uint32_t bit = 1U << task;
  LWLockAcquire(lock, LW_EXCLUSIVE);
  Slot* slot = FindSlot(entered);
  bool requested = slot && (slot->requests & bit) != 0;
  if (slot) slot->requests &= ~bit;
  LWLockRelease(lock);
  return requested;
}

void RequestIn(Oid database, MaintenanceTaskId task) {
  if (!slots) return;
  LWLockAcquire(lock, LW_EXCLUSIVE);
  if (Slot* slot = FindSlot(database)) {
    slot->requests |= 1U << task;
    if (slot->latch) SetLatch(slot->latch);
  }
  LWLockRelease(lock);
}

void NoteExtensionChange() {
  if (!slots) return;
  LWLockAcquire(lock, LW_EXCLUSIVE);
  ++launcher->extension_changes;
  WakeLauncher();
  LWLockRelease(lock);
}

void EvictWorker(Oid database) {
  if (!slots) return;
  LWLockAcquire(lock, LW_EXCLUSIVE);
  Slot* slot = MakeSlot(database);
  if (slot)
    slot->evicted_until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), kEvictionMilliseconds);
  pid_t worker = slot ? slot->worker : 0;
  // Under the lock, which the worker needs to leave: the process is still that worker.
  if (worker != 0) kill(worker, SIGTERM);
  LWLockRelease(lock);
  TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), kLeaveMilliseconds);
  while (WorkerIn(database) != 0 && GetCurrentTimestamp() < until) {
    WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kPollMilliseconds,
              PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
  }
}

}  // namespace teamscale

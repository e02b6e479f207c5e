#include "teamscale/postgres/events/careful_transactions.h"

extern "C" {
#include "miscadmin.h"
#include "replication/slot.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "storage/spin.h"
}

namespace teamscale {

namespace {

constexpr int kPerSlot = 32;

struct SlotFailures {
  slock_t lock;
  int next;  // where the next one goes, over the oldest
  XLogRecPtr commit_lsns[kPerSlot];
};

SlotFailures* failures = nullptr;
shmem_request_hook_type previous_shmem_request = nullptr;
shmem_startup_hook_type previous_shmem_startup = nullptr;

std::size_t Size() { return sizeof(SlotFailures) * (max_replication_slots + 1); }

void RequestSharedMemory() {
  if (previous_shmem_request) previous_shmem_request();
  RequestAddinShmemSpace(Size());
}

void StartSharedMemory() {
  if (previous_shmem_startup) previous_shmem_startup();
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  bool found;
  failures =
      static_cast<SlotFailures*>(ShmemInitStruct("teamscale event failures", Size(), &found));
  for (int i = 0; !found && i < max_replication_slots; ++i) {
    failures[i] = {};
    SpinLockInit(&failures[i].lock);
  }
  LWLockRelease(AddinShmemInitLock);
}

bool Has(int slot, XLogRecPtr commit_lsn) {
  for (XLogRecPtr known : failures[slot].commit_lsns)
    if (known == commit_lsn) return true;
  return false;
}

}  // namespace

void InitCarefulTransactions() {
  if (!process_shared_preload_libraries_in_progress) return;
  previous_shmem_request = shmem_request_hook;
  shmem_request_hook = RequestSharedMemory;
  previous_shmem_startup = shmem_startup_hook;
  shmem_startup_hook = StartSharedMemory;
}

void RememberFailure(int slot, XLogRecPtr commit_lsn) {
  if (!failures) return;
  SlotFailures* entry = &failures[slot];
  SpinLockAcquire(&entry->lock);
  if (!Has(slot, commit_lsn)) {
    entry->commit_lsns[entry->next] = commit_lsn;
    entry->next = (entry->next + 1) % kPerSlot;
  }
  SpinLockRelease(&entry->lock);
}

bool FailedBefore(int slot, XLogRecPtr commit_lsn) {
  if (!failures) return false;
  SlotFailures* entry = &failures[slot];
  SpinLockAcquire(&entry->lock);
  bool found = Has(slot, commit_lsn);
  SpinLockRelease(&entry->lock);
  return found;
}

bool WouldComeAgain(int sqlstate) {
  int category = ERRCODE_TO_CATEGORY(sqlstate);
  return category != ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES) &&
         category != ERRCODE_TO_CATEGORY(ERRCODE_OPERATOR_INTERVENTION) &&
         category != ERRCODE_TO_CATEGORY(ERRCODE_SYSTEM_ERROR) &&
         category != ERRCODE_TO_CATEGORY(ERRCODE_TRANSACTION_ROLLBACK);
}

}  // namespace teamscale

// Phase waiting: for whoever has a snapshot in which the copied rows are not there yet.
//
// It is looked for snapshots again and again, and not waited for transactions: whoever has given
// its snapshot back may go on, and the backend that waits for this rewrite is one of those.
#include "teamscale/postgres/boundary/wait_point.h"
#include "teamscale/postgres/partition/rewrite_steps.h"
#include "teamscale/postgres/worker/owner_session.h"

extern "C" {
#include "access/transam.h"
#include "access/xact.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "storage/sinvaladt.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
}

namespace teamscale {

namespace {

constexpr long kPauseMilliseconds = 20;

// With its epoch. The transaction is not over for long, or is about to begin.
FullTransactionId WithEpoch(TransactionId id) {
  FullTransactionId next = ReadNextFullTransactionId();
  uint32 epoch = EpochFromFullTransactionId(next);
  if (id > XidFromFullTransactionId(next)) --epoch;
  return FullTransactionIdFromEpochAndXid(epoch, id);
}

// The oldest transaction that any snapshot newer than the copy can see as running. It is kept:
// whoever waits again waits for the same snapshots, and not for later ones too.
FullTransactionId Horizon(const Rewrite* rewrite) {
  if (FullTransactionIdIsValid(rewrite->horizon)) return rewrite->horizon;
  BeginOwnerTransaction();
  FullTransactionId horizon = WithEpoch(GetActiveSnapshot()->xmin);
  RecordHorizon(rewrite, horizon);
  CommitOwnerTransaction();
  return horizon;
}

// No snapshot is as old as that.
bool IsLongAgo(FullTransactionId horizon) {
  return U64FromFullTransactionId(ReadNextFullTransactionId()) -
             U64FromFullTransactionId(horizon) >=
         (uint64{1} << 31);
}

// The processes that have older snapshots. Vacuum and the building of indexes look at no rows of
// ours.
List* HoldersOfOlderSnapshots(FullTransactionId horizon) {
  if (IsLongAgo(horizon)) return NIL;
  int count;
  const VirtualTransactionId* found =
      GetCurrentVirtualXIDs(XidFromFullTransactionId(horizon), true, false,
                            PROC_IS_AUTOVACUUM | PROC_IN_VACUUM | PROC_IN_SAFE_IC, &count);
  List* holders = NIL;
  for (int i = 0; i < count; ++i)
    if (const PGPROC* process = BackendIdGetProc(found[i].backendId))
      holders = lappend_int(holders, process->pid);
  return holders;
}

void Pause() {
  WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kPauseMilliseconds,
            PG_WAIT_EXTENSION);
  ResetLatch(MyLatch);
  CHECK_FOR_INTERRUPTS();
}

void NoteHolders(const Rewrite* rewrite, const List* holders) {
  MemoryContext context = CurrentMemoryContext;
  BeginOwnerTransaction();
  RecordWaiting(rewrite, holders);
  CommitOwnerTransaction();
  MemoryContextSwitchTo(context);
}

[[noreturn]] void GiveUp(const Rewrite* rewrite, const List* holders) {
  StringInfoData processes;
  initStringInfo(&processes);
  ListCell* cell;
  foreach (cell, holders)
    appendStringInfo(&processes, "%s%d", processes.len > 0 ? ", " : "", lfirst_int(cell));
  ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
                  errmsg("snapshots that are older than the copy of partitions are still in use"),
                  errdetail("These processes hold them: %s.", processes.data),
                  errhint("The rewrite, a %s, goes on later; teamscale.stat_rewrite shows it.",
                          rewrite->operation)));
  pg_unreachable();
}

}  // namespace

void WaitForOldSnapshots(const Rewrite* rewrite, LockPatience patience) {
  TEAMSCALE_WAIT_POINT("rewrite checked");
  MemoryContext context = CurrentMemoryContext;
  FullTransactionId horizon = Horizon(rewrite);
  TimestampTz start = GetCurrentTimestamp();
  MemoryContextSwitchTo(context);
  const List* noted = NIL;
  // Twice in a row: a snapshot may have been handed on from one process to another
  // (SET TRANSACTION SNAPSHOT) while it was looked for.
  for (int clear = 0; clear < 2;) {
    const List* holders = HoldersOfOlderSnapshots(horizon);
    clear = holders == NIL ? clear + 1 : 0;
    if (!equal(holders, noted)) NoteHolders(rewrite, holders);
    noted = holders;
    if (holders != NIL && patience == LockPatience::kLimited &&
        TimestampDifferenceExceeds(start, GetCurrentTimestamp(), LimitedWaitMilliseconds()))
      GiveUp(rewrite, holders);
    if (holders != NIL) Pause();
  }
  BeginOwnerTransaction();
  EnterPhase(rewrite, RewritePhase::kSecuring);
  CommitOwnerTransaction();
  MemoryContextSwitchTo(context);
}

}  // namespace teamscale

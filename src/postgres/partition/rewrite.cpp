// From phase to phase, and the jobs of owner sessions. Plain dialect.
#include "teamscale/postgres/partition/rewrite.h"

#include <csignal>

#include "teamscale/postgres/boundary/wait_point.h"
#include "teamscale/postgres/partition/rewrite_guard.h"
#include "teamscale/postgres/partition/rewrite_lock.h"
#include "teamscale/postgres/partition/rewrite_steps.h"
#include "teamscale/postgres/worker/owner_session.h"

extern "C" {
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/wait_event.h"
}

namespace teamscale {

namespace {

// A session that has ended, or is about to, gives its lock back within this time.
constexpr int kLockTries = 40;
constexpr long kLockPauseMilliseconds = 50;

void Pause() {
  WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kLockPauseMilliseconds,
            PG_WAIT_EXTENSION);
  ResetLatch(MyLatch);
  CHECK_FOR_INTERRUPTS();
}

int WorkerOf(int64 id) {
  MemoryContext context = CurrentMemoryContext;
  BeginOwnerTransaction();
  int pid = RewriteWorker(id);
  CommitOwnerTransaction();
  MemoryContextSwitchTo(context);
  return pid;
}

void LockRewrite(int64 id) {
  for (int i = 0; !TryLockRewrite(id); ++i) {
    if (i == kLockTries)
      ereport(ERROR,
              (errcode(ERRCODE_OBJECT_IN_USE), errmsg("another process works on this rewrite"),
               errdetail("Its process ID is %d.", WorkerOf(id)),
               errhint("teamscale.stat_rewrite shows how far it is.")));
    Pause();
  }
}

template <typename F>
void WithLock(int64 id, F&& body) {
  LockRewrite(id);
  PG_TRY();
  { body(); }
  PG_FINALLY();
  { UnlockRewrite(id); }
  PG_END_TRY();
}

// Ends whoever works on it.
void WrestRewrite(int64 id) {
  while (!TryLockRewrite(id)) {
    int pid = WorkerOf(id);
    if (pid != 0) kill(pid, SIGINT);
    Pause();
  }
}

void RunPhase(const Rewrite* rewrite, LockPatience patience) {
  switch (rewrite->phase) {
    case RewritePhase::kBuilding:
      BuildTargets(rewrite, patience);
      break;
    case RewritePhase::kMirroring:
      InstallMirrors(rewrite, patience);
      break;
    case RewritePhase::kCopying:
      CopyRows(rewrite, patience);
      break;
    case RewritePhase::kChecking:
      CheckCopy(rewrite);
      break;
    case RewritePhase::kWaiting:
      WaitForOldSnapshots(rewrite, patience);
      break;
    case RewritePhase::kSecuring:
      SecureTargets(rewrite, patience);
      break;
    case RewritePhase::kSwapping:
      SwapTargets(rewrite, patience);
      break;
  }
}

void RunPhases(int64 id, LockPatience patience) {
  while (const Rewrite* rewrite = LoadRewrite(id)) {
    if (rewrite->cancelled)
      ereport(ERROR, (errcode(ERRCODE_QUERY_CANCELED), errmsg("the rewrite was cancelled"),
                      errhint("CALL teamscale.cancel_rewrite() again to undo the rest of it.")));
    RunPhase(rewrite, patience);
  }
}

void RewriteJob(const char* argument) {
  RunRewrite(pg_strtoint64(argument), LockPatience::kEndless);
}

void UndoJob(const char* argument) {
  int64 id = pg_strtoint64(argument);
  MemoryContext context = CurrentMemoryContext;
  BeginOwnerTransaction();
  CancelRewrite(id);
  CommitOwnerTransaction();
  MemoryContextSwitchTo(context);
  WrestRewrite(id);
  TEAMSCALE_WAIT_POINT("rewrite cancelled");
  if (const Rewrite* rewrite = LoadRewrite(id))
    UndoRewrite(rewrite, LockPatience::kEndless);
  else
    ereport(NOTICE, (errmsg("the rewrite has come to its end already")));
  UnlockRewrite(id);
}

}  // namespace

void InitRewrite() {
  InitRewriteCopy();
  InitRewriteGuard();
  RegisterOwnerJob("rewrite", RewriteJob);
  RegisterOwnerJob("undo rewrite", UndoJob);
}

void RunRewrite(int64 id, LockPatience patience) {
  WithLock(id, [=] { RunPhases(id, patience); });
}

void ResumeRewrite(int64 id) {
  WithLock(id, [=] {
    const Rewrite* rewrite = LoadRewrite(id);
    if (rewrite && rewrite->cancelled)
      UndoRewrite(rewrite, LockPatience::kLimited);
    else
      RunPhases(id, LockPatience::kLimited);
  });
}

}  // namespace teamscale

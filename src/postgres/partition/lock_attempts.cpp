#include "teamscale/postgres/partition/lock_attempts.h"

#include <algorithm>

#include "teamscale/postgres/worker/owner_session.h"

extern "C" {
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/wait_event.h"
}

namespace teamscale {

namespace {

constexpr long kFirstPauseMilliseconds = 100;
constexpr long kLongestPauseMilliseconds = 2000;
constexpr int kDeadlockTimeoutMilliseconds = 5;
constexpr int kShortLockTimeoutMilliseconds = 10;

int lock_timeout = 50;
int lock_attempts = 10;

// Others got in our way, or we in theirs; the last is of a row to be locked that moved to another
// partition.
bool IsLockConflict(int sqlstate) {
  return sqlstate == ERRCODE_LOCK_NOT_AVAILABLE || sqlstate == ERRCODE_T_R_DEADLOCK_DETECTED ||
         sqlstate == ERRCODE_T_R_SERIALIZATION_FAILURE;
}

void Pause(int attempt) {
  long pause =
      std::min(kFirstPauseMilliseconds << std::min(attempt, 10), kLongestPauseMilliseconds);
  WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, pause, PG_WAIT_EXTENSION);
  ResetLatch(MyLatch);
  CHECK_FOR_INTERRUPTS();
}

// For the current transaction.
void SetTimeout(const char* name, int milliseconds) {
  char text[16];
  pg_ltoa(milliseconds, text);
  set_config_option(name, text, PGC_SUSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

// False when another try may succeed.
bool Try(const LockAttempt& attempt, bool last) {
  volatile bool done = false;
  MemoryContext context = CurrentMemoryContext;
  PG_TRY();
  {
    BeginOwnerTransaction();
    SetTimeout("lock_timeout", lock_timeout);
    SetTimeout("deadlock_timeout", kDeadlockTimeoutMilliseconds);
    attempt.body(attempt.argument);
    CommitOwnerTransaction();
    done = true;
  }
  PG_CATCH();
  {
    if (last || !IsLockConflict(geterrcode())) PG_RE_THROW();
    MemoryContextSwitchTo(context);
    FlushErrorState();
    AbortOwnerTransaction();
  }
  PG_END_TRY();
  MemoryContextSwitchTo(context);
  return done;
}

}  // namespace

void InitLockAttempts() {
  DefineCustomIntVariable(
      "teamscale.partition_lock_timeout",
      "How long maintenance of partitions waits for a lock before it lets others pass.", nullptr,
      &lock_timeout, 50, 1, 60000, PGC_SIGHUP, GUC_UNIT_MS, nullptr, nullptr, nullptr);
  DefineCustomIntVariable("teamscale.partition_lock_attempts",
                          "How often maintenance of partitions tries to get a lock.",
                          "Then the action is recorded as failed, and the next run tries again.",
                          &lock_attempts, 10, 1, 1000, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
}

void RepeatLockAttempt(const LockAttempt& attempt, LockPatience patience) {
  bool limited = patience == LockPatience::kLimited;
  for (int failed = 0; !Try(attempt, limited && failed + 1 >= lock_attempts); ++failed) {
    if (attempt.after_conflict) attempt.after_conflict(attempt.argument);
    Pause(failed);
  }
}

// As long as the pauses between attempts are, or somewhat less.
int LimitedWaitMilliseconds() { return lock_attempts * 1000; }

void ShortenLockTimeout() { SetTimeout("lock_timeout", kShortLockTimeoutMilliseconds); }

}  // namespace teamscale

// Who reads a stream: one session at a time, from its poll to its ack.
//
// A lease is a lock that the session holds beyond its transaction; it ends with the session, so
// that a reader that died keeps nobody waiting. The next one reads again what was not acked.

#include "teamscale/postgres/boundary/sql_function.h"

extern "C" {
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
}

namespace teamscale {

namespace {

// Among the advisory locks, in a class of its own: PostgreSQL's functions use 1 and 2. (A lock of
// the other kind would end with an aborted transaction.)
constexpr std::uint16_t kLeaseClass = 20;

LOCKTAG LeaseOf(const text* stream) {
  LOCKTAG tag;
  std::uint64_t key = hash_bytes_extended(
      reinterpret_cast<const unsigned char*>(VARDATA_ANY(stream)), VARSIZE_ANY_EXHDR(stream), 0);
  SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, static_cast<uint32>(key >> 32), static_cast<uint32>(key),
                       kLeaseClass);
  return tag;
}

// Also of a session that is idle, which GetLockConflicts() does not tell.
int HolderOf(const LOCKTAG* tag) {
  LockData* locks = GetLockStatusData();
  for (int i = 0; i < locks->nelements; ++i) {
    const LockInstanceData& lock = locks->locks[i];
    if (memcmp(&lock.locktag, tag, sizeof(LOCKTAG)) == 0 &&
        (lock.holdMask & LOCKBIT_ON(ExclusiveLock)) != 0)
      return lock.pid;
  }
  return 0;
}

bool Take(const LOCKTAG* tag, TimestampTz deadline) {
  constexpr long kNap = 20;  // ms
  while (LockAcquire(tag, ExclusiveLock, true, true) == LOCKACQUIRE_NOT_AVAIL) {
    if (TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline) <= 0) return false;
    WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kNap, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
  }
  return true;
}

}  // namespace

}  // namespace teamscale

// take_lease(stream id, name, milliseconds)
TEAMSCALE_SQL_FUNCTION(teamscale_take_lease) {
  using namespace teamscale;
  LOCKTAG tag = LeaseOf(PG_GETARG_TEXT_PP(0));
  if (LockHeldByMe(&tag, ExclusiveLock)) PG_RETURN_VOID();
  TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), PG_GETARG_INT32(2));
  if (!Take(&tag, deadline))
    ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
                    errmsg("event stream \"%s\" is being read by another session",
                           text_to_cstring(PG_GETARG_TEXT_PP(1))),
                    errdetail("The session with PID %d has polled events and not acked them.",
                              HolderOf(&tag)),
                    errhint("Wait with max_wait until it has acked, or end that session.")));
  PG_RETURN_VOID();
}

TEAMSCALE_SQL_FUNCTION(teamscale_give_lease) {
  LOCKTAG tag = teamscale::LeaseOf(PG_GETARG_TEXT_PP(0));
  if (LockHeldByMe(&tag, ExclusiveLock)) LockRelease(&tag, ExclusiveLock, true);
  PG_RETURN_VOID();
}

TEAMSCALE_SQL_FUNCTION(teamscale_has_lease) {
  LOCKTAG tag = teamscale::LeaseOf(PG_GETARG_TEXT_PP(0));
  PG_RETURN_BOOL(LockHeldByMe(&tag, ExclusiveLock));
}

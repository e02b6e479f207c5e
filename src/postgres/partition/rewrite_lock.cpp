#include "teamscale/postgres/partition/rewrite_lock.h"

extern "C" {
#include "miscadmin.h"
#include "storage/lock.h"
}

namespace teamscale {

namespace {

// Advisory locks of SQL functions have 1 or 2 in their last field. The view stat_rewrite and
// RewriteWorker() look for this one.
LOCKTAG TagOf(int64 id) {
  auto bits = static_cast<uint64>(id);
  LOCKTAG tag;
  SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, static_cast<uint32>(bits >> 32),
                       static_cast<uint32>(bits), 4);
  return tag;
}

}  // namespace

bool TryLockRewrite(int64 id) {
  LOCKTAG tag = TagOf(id);
  return LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

void UnlockRewrite(int64 id) {
  LOCKTAG tag = TagOf(id);
  LockRelease(&tag, ExclusiveLock, true);
}

}  // namespace teamscale

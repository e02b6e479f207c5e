#include "teamscale/postgres/cluster/settling.h"

extern "C" {
#include "access/xact.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/lwlock.h"
}

namespace teamscale {

bool StandbysHave(XLogRecPtr position) {
  if (max_wal_senders == 0 || !SyncRepStandbyNames || !*SyncRepStandbyNames) return true;
  LWLockAcquire(SyncRepLock, LW_SHARED);
  XLogRecPtr confirmed = WalSndCtl->lsn[SYNC_REP_WAIT_FLUSH];
  LWLockRelease(SyncRepLock);
  return confirmed >= position;
}

}  // namespace teamscale

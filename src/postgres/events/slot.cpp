#include "teamscale/postgres/events/slot.h"

#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/boundary/wait_point.h"
#include "teamscale/postgres/events/output_plugin.h"

extern "C" {
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogutils.h"
#include "miscadmin.h"
#include "replication/logical.h"
#include "replication/slot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/pg_lsn.h"
}

namespace teamscale {

XLogReaderRoutine local_log = {.page_read = read_local_xlog_page,
                               .segment_open = wal_segment_open,
                               .segment_close = wal_segment_close};

namespace {

void RequireLogicalLog() {
  if (wal_level >= WAL_LEVEL_LOGICAL) return;
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                  errmsg("change events need wal_level = logical"),
                  errdetail("wal_level is %s.", GetConfigOption("wal_level", false, false)),
                  errhint("Set wal_level to logical and restart the server.")));
}

void RequireNoWrites() {
  if (!TransactionIdIsValid(GetTopTransactionIdIfAny())) return;
  ereport(ERROR,
          (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
           errmsg("an event stream cannot be made in a transaction that has written"),
           errdetail("A replication slot waits for all transactions that are writing; it would "
                     "wait for its own."),
           errhint("Make the stream in a transaction of its own.")));
}

// A lock wait of the slot's making is for a transaction that is writing.
int LimitWaits(int timeout_ms) {
  int level = NewGUCNestLevel();
  set_config_option("lock_timeout", psprintf("%d", timeout_ms), PGC_USERSET, PGC_S_SESSION,
                    GUC_ACTION_SAVE, true, 0, false);
  return level;
}

}  // namespace

XLogRecPtr CreateStreamSlot(const char* name, int timeout_ms) {
  RequireLogicalLog();
  RequireTrustedPlugin();
  RequireNoWrites();
  CheckSlotRequirements();
  CheckLogicalDecodingRequirements();
  int level = LimitWaits(timeout_ms);
  XLogRecPtr start = InvalidXLogRecPtr;
  PG_TRY();
  {
    // Ephemeral until it is complete: an error or a crash drops it.
    ReplicationSlotCreate(name, true, RS_EPHEMERAL, false);
    LogicalDecodingContext* context = CreateInitDecodingContext(
        "teamscale", NIL, false, InvalidXLogRecPtr, &local_log, nullptr, nullptr, nullptr);
    TEAMSCALE_WAIT_POINT("slot reserved");
    DecodingContextFindStartpoint(context);
    FreeDecodingContext(context);
    ReplicationSlotPersist();
    start = MyReplicationSlot->data.confirmed_flush;
    ReplicationSlotRelease();
  }
  PG_CATCH();
  {
    if (MyReplicationSlot) ReplicationSlotRelease();
    PG_RE_THROW();
  }
  PG_END_TRY();
  AtEOXact_GUC(true, level);
  return start;
}

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_create_slot) {
  const char* name = text_to_cstring(PG_GETARG_TEXT_PP(0));
  PG_RETURN_LSN(teamscale::CreateStreamSlot(name, PG_GETARG_INT32(1)));
}

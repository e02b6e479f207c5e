#include "teamscale/postgres/events/stream_task.h"

#include "teamscale/postgres/boundary/extension_owner.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/worker/maintenance.h"
#include "teamscale/postgres/worker/own_transaction.h"

extern "C" {
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "executor/spi.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
}

namespace teamscale {

namespace {

int check_interval = 10000;
MaintenanceTaskId keeping;
bool request_at_commit = false;

bool HasStreams() {
  Oid schema = get_namespace_oid("teamscale_internal", true);
  return OidIsValid(schema) && OidIsValid(get_relname_relid("event_stream", schema));
}

void KeepStreams() {
  if (RecoveryInProgress()) return;
  InTransaction([] {
    PushActiveSnapshot(GetTransactionSnapshot());
    if (HasStreams()) {
      SPI_connect();
      ExecuteAsExtensionOwner("SELECT teamscale_internal.keep_streams()", 0, nullptr, nullptr,
                              nullptr);
      SPI_finish();
    }
    PopActiveSnapshot();
  });
}

void OnTransactionEnd(XactEvent event, void*) {
  if (event == XACT_EVENT_COMMIT && request_at_commit) RequestMaintenance(keeping);
  if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
    request_at_commit = false;
}

}  // namespace

void InitStreamTask() {
  DefineCustomIntVariable(
      "teamscale.stream_check_interval",
      "How long the maintenance worker waits between two rounds of checking event streams.",
      nullptr, &check_interval, 10000, 100, 3600000, PGC_SIGHUP, GUC_UNIT_MS, nullptr, nullptr,
      nullptr);
  keeping = RegisterMaintenanceTask(
      {.activity = "checking event streams", .interval_ms = &check_interval, .run = KeepStreams});
  RegisterXactCallback(OnTransactionEnd, nullptr);
}

}  // namespace teamscale

// keep_streams() is wanted once this transaction has committed.
TEAMSCALE_SQL_FUNCTION(teamscale_request_stream_check) {
  teamscale::request_at_commit = true;
  PG_RETURN_VOID();
}

#include "teamscale/postgres/cluster/maintenance.h"

#include <map>

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/cluster/catalog.h"
#include "teamscale/postgres/cluster/database_commands.h"
#include "teamscale/postgres/cluster/launcher.h"
#include "teamscale/postgres/cluster/maintenance_slots.h"
#include "teamscale/postgres/cluster/settling.h"

extern "C" {
#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
}

namespace teamscale {

namespace {

int settle_interval = 5000;

// A transaction of the worker's own around a call that needs one. Plain dialect.
template <typename F>
void InTransaction(F&& body) {
  SetCurrentStatementStartTimestamp();
  StartTransactionCommand();
  body();
  CommitTransactionCommand();
}

bool HasExtension() {
  bool found = false;
  InTransaction([&] { found = OidIsValid(CatalogRelation(CatalogTable::kCluster)); });
  return found;
}

// Says what was done, and of each node when it stops or begins to answer.
void LogSteps(const SettlingResult& result) {
  static auto* silent = new std::map<std::string, std::string>;
  std::map<std::string, std::string> silent_now;
  for (const SettlingStep& step : result.steps) {
    const char* node = step.node.c_str();
    const char* gid = step.gid.c_str();
    const char* action = step.action.c_str();
    if (step.gid.empty()) {
      silent_now[step.node] = step.action;
      if ((*silent)[step.node] == step.action) continue;
      CallPostgres([=] { ereport(LOG, (errmsg("settling: node \"%s\" was %s", node, action))); });
    } else if (!step.action.starts_with("left")) {
      CallPostgres([=] {
        ereport(LOG, (errmsg("settled transaction %s on node \"%s\": %s", gid, node, action)));
      });
    }
  }
  *silent = std::move(silent_now);
}

// Guarded. Each part that reads or writes the catalog is a transaction; none is open while nodes
// are waited for.
void SettleOnce() {
  std::optional<Decisions> decisions;
  CallPostgres(
      [&] { InTransaction([&] { EnterFromPostgres([&] { decisions = ReadDecisions(); }); }); });
  if (!decisions) return;
  SettlingResult result = Settle(*decisions);
  LogSteps(result);
  if (result.arrived.empty()) return;
  CallPostgres(
      [&] { InTransaction([&] { EnterFromPostgres([&] { ForgetRecords(result.arrived); }); }); });
}

// A failed round is reported and tried again. Plain dialect.
void RunRound(MemoryContext scratch) {
  MemoryContextSwitchTo(scratch);
  pgstat_report_activity(STATE_RUNNING, "settling in-doubt transactions");
  PG_TRY();
  { EnterFromPostgres(SettleOnce); }
  PG_CATCH();
  {
    HOLD_INTERRUPTS();
    EmitErrorReport();
    AbortCurrentTransaction();
    FlushErrorState();
    RESUME_INTERRUPTS();
  }
  PG_END_TRY();
  pgstat_report_stat(true);
  pgstat_report_activity(STATE_IDLE, nullptr);
  MemoryContextSwitchTo(scratch);
  MemoryContextReset(scratch);
}

// Until a round is due or asked for.
void Sleep() {
  TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), settle_interval);
  for (;;) {
    CHECK_FOR_INTERRUPTS();
    if (ConfigReloadPending) {
      ConfigReloadPending = false;
      ProcessConfigFile(PGC_SIGHUP);
      until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), settle_interval);
    }
    if (TakeSettlingRequest()) return;
    long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);
    if (left <= 0) return;
    WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, left, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
  }
}

}  // namespace

void InitMaintenance() {
  DefineCustomIntVariable(
      "teamscale.settle_interval",
      "How long the maintenance worker waits between two rounds of settling in-doubt transactions.",
      nullptr, &settle_interval, 5000, 100, 3600000, PGC_SIGHUP, GUC_UNIT_MS, nullptr, nullptr,
      nullptr);
  if (!process_shared_preload_libraries_in_progress) return;
  InitMaintenanceSlots();
  InitDatabaseCommands();
  RegisterLauncherProcess();
}

void RequestSettling() { RequestSettlingIn(MyDatabaseId); }

}  // namespace teamscale

extern "C" {
PGDLLEXPORT void teamscale_maintenance_main(Datum argument);
}

void teamscale_maintenance_main(Datum argument) {
  using namespace teamscale;
  Oid database = DatumGetObjectId(argument);
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  pqsignal(SIGTERM, die);
  BackgroundWorkerUnblockSignals();
  // Before it connects: DROP DATABASE must find out whom to send away.
  if (!EnterDatabase(database)) return;
  std::uint64_t changes = ExtensionChanges();
  BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
  // A node that says nothing more must not keep the others waiting.
  SetConfigOption("teamscale.statement_deadline", "30s", PGC_USERSET, PGC_S_OVERRIDE);
  MemoryContext scratch =
      AllocSetContextCreate(TopMemoryContext, "teamscale maintenance", ALLOCSET_DEFAULT_SIZES);
  while (HasExtension()) {
    RunRound(scratch);
    Sleep();
    changes = ExtensionChanges();
  }
  ReportNoExtension(changes);
}

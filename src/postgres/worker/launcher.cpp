// The launcher: keeps a maintenance worker in each database that has the extension. Whether one has
// it cannot be seen from outside, so a worker is started in each once, and again after something
// may have changed; it leaves at once where there is nothing to do. Plain dialect.
#include "teamscale/postgres/worker/launcher.h"

#include "teamscale/postgres/worker/maintenance_slots.h"

extern "C" {
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
}

namespace teamscale {

namespace {

// A safety net: CREATE DATABASE and CREATE EXTENSION wake the launcher.
constexpr long kLookMilliseconds = 10000;
// A worker that ended, for whatever reason, comes back after this.
constexpr int kRestartMilliseconds = 1000;
constexpr int kRestartSeconds = 1;

struct StartedWorker {
  Oid database;
  BackgroundWorkerHandle* handle;
  TimestampTz started_at;
};

// Of the launcher's process; in TopMemoryContext.
List* started = NIL;

// The databases that can be connected to and are no templates, in the caller's context.
List* ListDatabases() {
  MemoryContext caller = CurrentMemoryContext;
  List* databases = NIL;
  StartTransactionCommand();
  (void)GetTransactionSnapshot();
  Relation relation = table_open(DatabaseRelationId, AccessShareLock);
  TableScanDesc scan = table_beginscan_catalog(relation, 0, nullptr);
  while (HeapTuple tuple = heap_getnext(scan, ForwardScanDirection)) {
    auto* database = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
    if (!database->datallowconn || database->datistemplate) continue;
    MemoryContext scratch = MemoryContextSwitchTo(caller);
    databases = lappend_oid(databases, database->oid);
    MemoryContextSwitchTo(scratch);
  }
  table_endscan(scan);
  table_close(relation, AccessShareLock);
  CommitTransactionCommand();
  MemoryContextSwitchTo(caller);
  return databases;
}

StartedWorker* FindStarted(Oid database) {
  ListCell* cell;
  foreach (cell, started) {
    auto* worker = static_cast<StartedWorker*>(lfirst(cell));
    if (worker->database == database) return worker;
  }
  return nullptr;
}

void ForgetDroppedDatabases(const List* databases) {
  ListCell* cell;
  foreach (cell, started) {
    auto* worker = static_cast<StartedWorker*>(lfirst(cell));
    if (list_member_oid(databases, worker->database)) continue;
    ForgetDatabase(worker->database);
    if (worker->handle) pfree(worker->handle);
    pfree(worker);
    started = foreach_delete_current(started, cell);
  }
}

// Not before it was registered, and not in quick succession when it cannot stay.
bool MayStart(StartedWorker* worker) {
  if (!worker->handle) return true;
  pid_t pid;
  if (GetBackgroundWorkerPid(worker->handle, &pid) != BGWH_STOPPED) return false;
  return TimestampDifferenceExceeds(worker->started_at, GetCurrentTimestamp(),
                                    kRestartMilliseconds);
}

// False when the server has no room for another background worker now.
bool Start(Oid database) {
  StartedWorker* worker = FindStarted(database);
  MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
  if (!worker) {
    worker = static_cast<StartedWorker*>(palloc0(sizeof(StartedWorker)));
    worker->database = database;
    started = lappend(started, worker);
  }
  bool done = true;
  if (MayStart(worker)) {
    BackgroundWorker registration{};
    registration.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    registration.bgw_start_time = BgWorkerStart_RecoveryFinished;
    registration.bgw_restart_time = BGW_NEVER_RESTART;
    registration.bgw_main_arg = ObjectIdGetDatum(database);
    registration.bgw_notify_pid = MyProcPid;
    strlcpy(registration.bgw_library_name, "teamscale", sizeof(registration.bgw_library_name));
    strlcpy(registration.bgw_function_name, "teamscale_maintenance_main",
            sizeof(registration.bgw_function_name));
    strlcpy(registration.bgw_name, "teamscale maintenance", sizeof(registration.bgw_name));
    strlcpy(registration.bgw_type, "teamscale maintenance", sizeof(registration.bgw_type));
    if (worker->handle) pfree(worker->handle);
    worker->handle = nullptr;
    done = RegisterDynamicBackgroundWorker(&registration, &worker->handle);
    worker->started_at = GetCurrentTimestamp();
  }
  MemoryContextSwitchTo(caller);
  return done;
}

// Gives how long to sleep.
long LookAround() {
  long sleep = kLookMilliseconds;
  bool room = true;
  List* databases = ListDatabases();
  ForgetDroppedDatabases(databases);
  ListCell* cell;
  foreach (cell, databases) {
    if (NeedOfWorker(lfirst_oid(cell)) == WorkerNeed::kNone) continue;
    sleep = kRestartMilliseconds;
    if (room) room = Start(lfirst_oid(cell));
  }
  static bool complained = false;
  if (!room && !complained)
    ereport(LOG, (errmsg("no room for another maintenance worker"),
                  errdetail("Each database that has teamscale needs a background worker."),
                  errhint("Raise max_worker_processes.")));
  complained = !room;
  list_free(databases);
  return sleep;
}

}  // namespace

void RegisterLauncherProcess() {
  BackgroundWorker launcher{};
  launcher.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
  launcher.bgw_start_time = BgWorkerStart_RecoveryFinished;
  launcher.bgw_restart_time = kRestartSeconds;
  strlcpy(launcher.bgw_library_name, "teamscale", sizeof(launcher.bgw_library_name));
  strlcpy(launcher.bgw_function_name, "teamscale_launcher_main",
          sizeof(launcher.bgw_function_name));
  strlcpy(launcher.bgw_name, "teamscale launcher", sizeof(launcher.bgw_name));
  strlcpy(launcher.bgw_type, "teamscale launcher", sizeof(launcher.bgw_type));
  RegisterBackgroundWorker(&launcher);
}

}  // namespace teamscale

extern "C" {
PGDLLEXPORT void teamscale_launcher_main(Datum argument);
}

void teamscale_launcher_main(Datum) {
  using namespace teamscale;
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  pqsignal(SIGTERM, die);
  BackgroundWorkerUnblockSignals();
  BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
  RegisterLauncher();
  pgstat_report_activity(STATE_IDLE, nullptr);
  for (;;) {
    CHECK_FOR_INTERRUPTS();
    if (ConfigReloadPending) {
      ConfigReloadPending = false;
      ProcessConfigFile(PGC_SIGHUP);
    }
    long sleep = LookAround();
    WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, sleep, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
  }
}

// Plain dialect.
#include "teamscale/postgres/worker/maintenance.h"

#include <algorithm>

#include "teamscale/postgres/worker/database_commands.h"
#include "teamscale/postgres/worker/launcher.h"
#include "teamscale/postgres/worker/maintenance_slots.h"
#include "teamscale/postgres/worker/own_transaction.h"

extern "C" {
#include "access/xact.h"
#include "commands/extension.h"
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

constexpr MaintenanceTaskId kMaxTasks = 8;
MaintenanceTask tasks[kMaxTasks];
MaintenanceTaskId task_count = 0;
// When each task's next round is due; of the worker's process.
TimestampTz due[kMaxTasks];

bool HasExtension() {
  bool found = false;
  InTransaction([&] { found = OidIsValid(get_extension_oid("teamscale", true)); });
  return found;
}

// A failed round is reported and tried again.
void RunRound(const MaintenanceTask& task, MemoryContext scratch) {
  MemoryContextSwitchTo(scratch);
  pgstat_report_activity(STATE_RUNNING, task.activity);
  PG_TRY();
  { task.run(); }
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

void RunDueTasks(MemoryContext scratch) {
  for (MaintenanceTaskId id = 0; id < task_count; ++id) {
    if (TakeRequest(id)) due[id] = 0;
    if (GetCurrentTimestamp() < due[id]) continue;
    RunRound(tasks[id], scratch);
    due[id] = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), *tasks[id].interval_ms);
  }
}

// An interval that was shortened counts at once.
void ReloadSettings() {
  ConfigReloadPending = false;
  ProcessConfigFile(PGC_SIGHUP);
  for (MaintenanceTaskId id = 0; id < task_count; ++id)
    due[id] = std::min(due[id],
                       TimestampTzPlusMilliseconds(GetCurrentTimestamp(), *tasks[id].interval_ms));
}

// Until a task is due or asked for.
void Sleep() {
  for (;;) {
    CHECK_FOR_INTERRUPTS();
    if (ConfigReloadPending) ReloadSettings();
    if (AnyRequest()) return;
    TimestampTz next = *std::min_element(due, due + task_count);
    long left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), next);
    if (left <= 0) return;
    WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, left, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
  }
}

}  // namespace

MaintenanceTaskId RegisterMaintenanceTask(const MaintenanceTask& task) {
  if (task_count == kMaxTasks) elog(ERROR, "too many maintenance tasks");
  tasks[task_count] = task;
  return task_count++;
}

void InitMaintenance() {
  if (!process_shared_preload_libraries_in_progress) return;
  InitMaintenanceSlots();
  InitDatabaseCommands();
  RegisterLauncherProcess();
}

void RequestMaintenance(MaintenanceTaskId task) { RequestIn(MyDatabaseId, task); }

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
  MemoryContext scratch =
      AllocSetContextCreate(TopMemoryContext, "teamscale maintenance", ALLOCSET_DEFAULT_SIZES);
  while (HasExtension()) {
    RunDueTasks(scratch);
    Sleep();
    changes = ExtensionChanges();
  }
  ReportNoExtension(changes);
}

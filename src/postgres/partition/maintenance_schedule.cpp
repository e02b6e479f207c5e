// Plain dialect; runs in the maintenance worker only, whose process the statics belong to.
#include "teamscale/postgres/partition/maintenance_schedule.h"

#include "teamscale/postgres/boundary/extension_owner.h"
#include "teamscale/postgres/partition/maintenance_job.h"
#include "teamscale/postgres/worker/maintenance.h"
#include "teamscale/postgres/worker/own_transaction.h"

extern "C" {
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
}

namespace teamscale {

namespace {

constexpr int kPollMilliseconds = 200;

int interval = 300000;
int most_workers = 2;

// Until the next look: at owners whose turn has not come yet, or at the next round.
int next_look = kPollMilliseconds;
TimestampTz round_due = 0;
List* waiting_owners = NIL;  // in TopMemoryContext, as is the next
List* running = NIL;         // BackgroundWorkerHandle
bool registered_exit = false;

// Another interval counts at once.
void BeginAnew(int, void*) {
  round_due = 0;
  next_look = kPollMilliseconds;
}

// A database that is to be dropped must find its sessions gone with this worker.
void EndSessions(int, Datum) {
  ListCell* cell;
  foreach (cell, running)
    TerminateBackgroundWorker(static_cast<BackgroundWorkerHandle*>(lfirst(cell)));
}

void ForgetEnded() {
  ListCell* cell;
  foreach (cell, running) {
    auto* handle = static_cast<BackgroundWorkerHandle*>(lfirst(cell));
    pid_t pid;
    if (GetBackgroundWorkerPid(handle, &pid) != BGWH_STOPPED) continue;
    pfree(handle);
    running = foreach_delete_current(running, cell);
  }
}

List* ReadOwners() {
  List* owners = NIL;
  InTransaction([&] {
    PushActiveSnapshot(GetTransactionSnapshot());
    MemoryContext context = MemoryContextSwitchTo(TopMemoryContext);
    List* rows = ReadTextRows(
        "SELECT DISTINCT c.relowner FROM teamscale_internal.partition_policy AS p"
        "      JOIN pg_catalog.pg_class AS c ON c.oid = p.relation ORDER BY 1");
    ListCell* cell;
    foreach (cell, rows) {
      auto* row = static_cast<char**>(lfirst(cell));
      owners = lappend_oid(owners, OidOfText(row[0]));
      pfree(row[0]);
    }
    list_free_deep(rows);
    MemoryContextSwitchTo(context);
    PopActiveSnapshot();
  });
  return owners;
}

// False when there is no room for a session now.
bool Start(Oid owner) {
  BackgroundWorkerHandle* handle = nullptr;
  InTransaction([&] {
    MemoryContext context = MemoryContextSwitchTo(TopMemoryContext);
    handle = StartMaintenanceOf(owner);
    if (handle) running = lappend(running, handle);
    MemoryContextSwitchTo(context);
  });
  return handle != nullptr;
}

void RunSchedule() {
  if (!registered_exit) before_shmem_exit(EndSessions, Datum{0});
  registered_exit = true;
  ForgetEnded();
  TimestampTz now = GetCurrentTimestamp();
  if (now >= round_due && waiting_owners == NIL) {
    waiting_owners = ReadOwners();
    round_due = TimestampTzPlusMilliseconds(now, interval);
  }
  while (waiting_owners != NIL && list_length(running) < most_workers &&
         Start(linitial_oid(waiting_owners)))
    waiting_owners = list_delete_first(waiting_owners);
  next_look = waiting_owners != NIL
                  ? kPollMilliseconds
                  : static_cast<int>(TimestampDifferenceMilliseconds(now, round_due));
}

}  // namespace

void InitMaintenanceSchedule() {
  DefineCustomIntVariable("teamscale.partition_interval",
                          "How long the maintenance of partitions pauses between two runs.",
                          nullptr, &interval, 300000, 100, 86400000, PGC_SIGHUP, GUC_UNIT_MS,
                          nullptr, BeginAnew, nullptr);
  DefineCustomIntVariable(
      "teamscale.partition_workers",
      "How many owners' tables a database's maintenance of partitions looks after at once.",
      "Each takes a background worker. 0 turns maintenance off but for maintain_partitions().",
      &most_workers, 2, 0, 64, PGC_SIGHUP, 0, nullptr, nullptr, nullptr);
  RegisterMaintenanceTask({.activity = "starting the maintenance of partitions",
                           .interval_ms = &next_look,
                           .run = RunSchedule});
}

}  // namespace teamscale

#include "teamscale/postgres/sharding/distribution_progress.h"

#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/boundary/wait_point.h"

extern "C" {
#include "catalog/pg_authid.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/backendid.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/acl.h"
#include "utils/builtins.h"
}

namespace teamscale {

namespace {

constexpr char kName[] = "teamscale distribution progress";
constexpr char kMovingRows[] = "moving rows";

// One for each backend, at its id - 1. Written by that backend alone, with the lock held but for
// the count.
struct Entry {
  int pid;  // 0: not in use
  Oid database;
  Oid role;
  Oid table;
  char command[NAMEDATALEN];
  char phase[NAMEDATALEN];
  int64 rows_total;  // -1: not known
  pg_atomic_uint64 rows_moved;
};

Entry* entries = nullptr;
LWLock* lock = nullptr;
shmem_request_hook_type previous_shmem_request = nullptr;
shmem_startup_hook_type previous_shmem_startup = nullptr;

// This backend's, while it is in use.
Entry* mine = nullptr;
bool moving_rows = false;

Size EntriesSize() { return mul_size(sizeof(Entry), static_cast<Size>(MaxBackends)); }

void RequestSharedMemory() {
  if (previous_shmem_request) previous_shmem_request();
  RequestAddinShmemSpace(EntriesSize());
  RequestNamedLWLockTranche(kName, 1);
}

void StartSharedMemory() {
  if (previous_shmem_startup) previous_shmem_startup();
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  bool found;
  entries = static_cast<Entry*>(ShmemInitStruct(kName, EntriesSize(), &found));
  if (!found) {
    memset(entries, 0, EntriesSize());
    for (int i = 0; i < MaxBackends; ++i) pg_atomic_init_u64(&entries[i].rows_moved, 0);
  }
  lock = &GetNamedLWLockTranche(kName)->lock;
  LWLockRelease(AddinShmemInitLock);
}

void ClearAtExit(int, Datum) { EndDistributionProgress(); }

void Report(const char* phase, int64 rows_total) {
  if (!mine) return;
  LWLockAcquire(lock, LW_EXCLUSIVE);
  strlcpy(mine->phase, phase, sizeof mine->phase);
  if (rows_total >= 0) mine->rows_total = rows_total;
  LWLockRelease(lock);
  moving_rows = strcmp(phase, kMovingRows) == 0;
}

struct Output {
  TupleDesc descriptor;
  Tuplestorestate* store;
};

// As in pg_stat_progress_...: everybody sees that there is one, and its role's members what it
// does.
void PutEntry(const Output& output, const Entry& entry, uint64 rows_moved) {
  Datum values[6] = {Int32GetDatum(entry.pid)};
  bool nulls[6] = {false, true, true, true, true, true};
  if (has_privs_of_role(GetUserId(), entry.role) ||
      has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS)) {
    values[1] = ObjectIdGetDatum(entry.table);
    values[2] = CStringGetTextDatum(entry.command);
    values[3] = CStringGetTextDatum(entry.phase);
    values[4] = Int64GetDatum(entry.rows_total);
    values[5] = UInt64GetDatum(rows_moved);
    nulls[1] = nulls[2] = nulls[3] = nulls[5] = false;
    nulls[4] = entry.rows_total < 0;
  }
  tuplestore_putvalues(output.store, output.descriptor, values, nulls);
}

}  // namespace

void InitDistributionProgress() {
  if (!process_shared_preload_libraries_in_progress) return;
  previous_shmem_request = shmem_request_hook;
  shmem_request_hook = RequestSharedMemory;
  previous_shmem_startup = shmem_startup_hook;
  shmem_startup_hook = StartSharedMemory;
}

void BeginDistributionProgress(const char* command, Oid table) {
  static bool clears_at_exit = false;
  if (!entries || MyBackendId < 1 || MyBackendId > MaxBackends) return;
  if (!clears_at_exit) before_shmem_exit(ClearAtExit, Datum{0});
  clears_at_exit = true;
  Entry* entry = &entries[MyBackendId - 1];
  LWLockAcquire(lock, LW_EXCLUSIVE);
  entry->database = MyDatabaseId;
  entry->role = GetUserId();
  entry->table = table;
  strlcpy(entry->command, command, sizeof entry->command);
  strlcpy(entry->phase, "checking", sizeof entry->phase);
  entry->rows_total = -1;
  pg_atomic_write_u64(&entry->rows_moved, 0);
  entry->pid = MyProcPid;
  LWLockRelease(lock);
  mine = entry;
}

void EndDistributionProgress() {
  if (!mine) return;
  LWLockAcquire(lock, LW_EXCLUSIVE);
  mine->pid = 0;
  LWLockRelease(lock);
  mine = nullptr;
  moving_rows = false;
}

void CountMovedRow() {
  if (!moving_rows) return;
  pg_atomic_write_u64(&mine->rows_moved, pg_atomic_read_u64(&mine->rows_moved) + 1);
  TEAMSCALE_WAIT_POINT("row moved");
}

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_report_progress) {
  teamscale::Report(text_to_cstring(PG_GETARG_TEXT_PP(0)), PG_GETARG_INT64(1));
  PG_RETURN_VOID();
}

TEAMSCALE_SQL_FUNCTION(teamscale_distribution_progress) {
  using namespace teamscale;
  InitMaterializedSRF(fcinfo, 0);
  auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  Output output{result->setDesc, result->setResult};
  for (int i = 0; entries && i < MaxBackends; ++i) {
    LWLockAcquire(lock, LW_SHARED);
    Entry entry = entries[i];
    uint64 rows_moved = pg_atomic_read_u64(&entries[i].rows_moved);
    LWLockRelease(lock);
    if (entry.pid != 0 && entry.database == MyDatabaseId) PutEntry(output, entry, rows_moved);
  }
  return Datum{0};
}

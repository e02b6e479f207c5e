#include "teamscale/postgres/cluster/boot.h"

#include "teamscale/postgres/boundary/sql_function.h"

extern "C" {
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
}

namespace teamscale {

namespace {

struct BootState {
  std::uint64_t boot_id;
};

BootState* boot_state = nullptr;
bool loaded_at_start = false;
shmem_request_hook_type previous_shmem_request = nullptr;
shmem_startup_hook_type previous_shmem_startup = nullptr;

void RequestSharedMemory() {
  if (previous_shmem_request) previous_shmem_request();
  RequestAddinShmemSpace(sizeof(BootState));
}

void StartSharedMemory() {
  if (previous_shmem_startup) previous_shmem_startup();
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  bool found;
  boot_state =
      static_cast<BootState*>(ShmemInitStruct("teamscale boot", sizeof(BootState), &found));
  if (!found && !pg_strong_random(&boot_state->boot_id, sizeof(boot_state->boot_id)))
    ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not draw a random boot id")));
  LWLockRelease(AddinShmemInitLock);
}

}  // namespace

void InitBoot() {
  if (!process_shared_preload_libraries_in_progress) return;
  loaded_at_start = true;
  previous_shmem_request = shmem_request_hook;
  shmem_request_hook = RequestSharedMemory;
  previous_shmem_startup = shmem_startup_hook;
  shmem_startup_hook = StartSharedMemory;
}

bool LoadedAtServerStart() { return loaded_at_start; }

std::uint64_t ServerBootId() { return boot_state ? boot_state->boot_id : 0; }

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_boot_id) {
  if (!teamscale::LoadedAtServerStart()) PG_RETURN_NULL();
  PG_RETURN_TEXT_P(cstring_to_text(
      psprintf("%016llx", static_cast<unsigned long long>(teamscale::ServerBootId()))));
}

TEAMSCALE_SQL_FUNCTION(teamscale_require_preload) {
  if (!teamscale::LoadedAtServerStart())
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("the server was started without teamscale"),
                    errhint("Add teamscale to shared_preload_libraries and restart the server.")));
  PG_RETURN_VOID();
}

#include "teamscale/postgres/boundary/hidden_changes.h"
#include "teamscale/postgres/boundary/server.h"
#include "teamscale/postgres/boundary/wait_point.h"
#include "teamscale/postgres/cache/cache.h"
#include "teamscale/postgres/cluster/boot.h"
#include "teamscale/postgres/cluster/catalog.h"
#include "teamscale/postgres/cluster/connection.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/node_secret.h"
#include "teamscale/postgres/cluster/node_session.h"
#include "teamscale/postgres/cluster/node_state.h"
#include "teamscale/postgres/cluster/remote_transaction.h"
#include "teamscale/postgres/cluster/settling_task.h"
#include "teamscale/postgres/cluster/taken_settings.h"
#include "teamscale/postgres/events/careful_transactions.h"
#include "teamscale/postgres/events/event_writer.h"
#include "teamscale/postgres/events/stream_guard.h"
#include "teamscale/postgres/events/stream_task.h"
#include "teamscale/postgres/partition/lock_attempts.h"
#include "teamscale/postgres/partition/maintenance_clock.h"
#include "teamscale/postgres/partition/maintenance_job.h"
#include "teamscale/postgres/partition/maintenance_schedule.h"
#include "teamscale/postgres/partition/rewrite.h"
#include "teamscale/postgres/partition/stored_policy.h"
#include "teamscale/postgres/sharding/cached_keys.h"
#include "teamscale/postgres/sharding/ddl_guard.h"
#include "teamscale/postgres/sharding/distribution_progress.h"
#include "teamscale/postgres/sharding/executor.h"
#include "teamscale/postgres/sharding/key_router.h"
#include "teamscale/postgres/sharding/local_scope.h"
#include "teamscale/postgres/sharding/split_insert.h"
#include "teamscale/postgres/sharding/utility_hook.h"
#include "teamscale/postgres/worker/maintenance.h"

extern "C" {
PG_MODULE_MAGIC;
PGDLLEXPORT void _PG_init(void);
}

void _PG_init(void) {
  teamscale::InitWaitPoints();
  teamscale::InitBoot();
  teamscale::InitHiddenChanges();
  teamscale::InitMaintenance();
  teamscale::InitCache();
  teamscale::InitCatalog();
  teamscale::InitShardMap();
  teamscale::InitNodeSecret();
  teamscale::InitNodeSession();
  teamscale::InitTakenSettings();
  teamscale::InitNodeState();
  teamscale::InitConnection();
  teamscale::InitRemoteTransaction();
  teamscale::InitSettlingTask();
  teamscale::InitLockAttempts();
  teamscale::InitMaintenanceClock();
  teamscale::InitMaintenanceJob();
  teamscale::InitMaintenanceSchedule();
  teamscale::InitStoredPolicies();
  teamscale::InitRewrite();
  teamscale::InitKeyRouter();
  teamscale::InitLocalScope();
  teamscale::InitCachedKeys();
  teamscale::InitExecutor();
  teamscale::InitDdlGuard();
  teamscale::InitUtilityHook();
  teamscale::InitSplitInsert();
  teamscale::InitDistributionProgress();
  teamscale::InitCarefulTransactions();
  teamscale::InitEventWriter();
  teamscale::InitStreamGuard();
  teamscale::InitStreamTask();
}

// The starting backend's side of owner sessions. Plain dialect.
#include "teamscale/postgres/worker/owner_session.h"
#include "teamscale/postgres/worker/owner_session_start.h"

extern "C" {
#include "libpq/pqformat.h"
#include "libpq/pqmq.h"
#include "miscadmin.h"
#include "storage/dsm.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "storage/shm_mq.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"
}

namespace teamscale {

namespace {

constexpr Size kQueueSize = 16384;

BackgroundWorkerHandle* StartWorker(const OwnerSessionStart& start) {
  BackgroundWorker registration{};
  registration.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
  registration.bgw_start_time = BgWorkerStart_RecoveryFinished;
  registration.bgw_restart_time = BGW_NEVER_RESTART;
  registration.bgw_notify_pid = MyProcPid;
  strlcpy(registration.bgw_library_name, "teamscale", sizeof(registration.bgw_library_name));
  strlcpy(registration.bgw_function_name, "teamscale_owner_session_main",
          sizeof(registration.bgw_function_name));
  strlcpy(registration.bgw_name, "teamscale owner session", sizeof(registration.bgw_name));
  strlcpy(registration.bgw_type, "teamscale owner session", sizeof(registration.bgw_type));
  memcpy(registration.bgw_extra, &start, sizeof(start));
  BackgroundWorkerHandle* handle = nullptr;
  return RegisterDynamicBackgroundWorker(&registration, &handle) ? handle : nullptr;
}

// When this backend gives up, by an error or its end, the job ends too.
void EndJob(int, Datum handle) {
  TerminateBackgroundWorker(reinterpret_cast<BackgroundWorkerHandle*>(DatumGetPointer(handle)));
}

// True when the message was the job's last.
bool TakeMessage(StringInfo message) {
  switch (pq_getmsgbyte(message)) {
    case 'X':
      return true;
    case 'E':
    case 'N': {
      ErrorData data;
      pq_parse_errornotice(message, &data);
      // The end of the worker is not the end of this session.
      data.elevel = Min(data.elevel, ERROR);
      ThrowErrorData(&data);
      return false;
    }
    default:
      return false;  // parameter changes and the like are the worker's own
  }
}

void WaitForEnd(shm_mq_handle* queue) {
  for (;;) {
    Size size;
    void* bytes;
    shm_mq_result result = shm_mq_receive(queue, &size, &bytes, true);
    if (result == SHM_MQ_DETACHED)
      ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                      errmsg("the background session of the table's owner ended unexpectedly"),
                      errhint("The server's log may say more. Call the procedure again: it goes on "
                              "where it was.")));
    if (result == SHM_MQ_SUCCESS) {
      StringInfoData message;
      initStringInfo(&message);
      appendBinaryStringInfo(&message, static_cast<char*>(bytes), static_cast<int>(size));
      if (TakeMessage(&message)) return;
      pfree(message.data);
    } else {
      InvalidateCatalogSnapshotConditionally();
      WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, 0, PG_WAIT_EXTENSION);
      ResetLatch(MyLatch);
    }
    CHECK_FOR_INTERRUPTS();
  }
}

// Whoever calls again finds that the session has given its locks back.
void WaitForEndOrError(shm_mq_handle* queue, BackgroundWorkerHandle* worker) {
  PG_TRY();
  { WaitForEnd(queue); }
  PG_CATCH();
  {
    TerminateBackgroundWorker(worker);
    HOLD_INTERRUPTS();
    WaitForBackgroundWorkerShutdown(worker);
    RESUME_INTERRUPTS();
    PG_RE_THROW();
  }
  PG_END_TRY();
  WaitForBackgroundWorkerShutdown(worker);
}

}  // namespace

void RunOwnerJob(Oid owner, const char* name, const char* argument) {
  OwnerSessionStart start = DescribeOwnerSession(owner, name, argument);
  // The job may wait for all snapshots that are older than its own.
  InvalidateCatalogSnapshot();
  dsm_segment* segment = dsm_create(kQueueSize, 0);
  shm_mq* queue = shm_mq_create(dsm_segment_address(segment), kQueueSize);
  shm_mq_set_receiver(queue, MyProc);
  start.queue = dsm_segment_handle(segment);
  BackgroundWorkerHandle* worker = StartWorker(start);
  if (!worker)
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_RESOURCES),
                    errmsg("no background worker is free for a session of the table's owner"),
                    errhint("Try again later, or raise max_worker_processes.")));
  PG_ENSURE_ERROR_CLEANUP(EndJob, PointerGetDatum(worker));
  { WaitForEndOrError(shm_mq_attach(queue, segment, worker), worker); }
  PG_END_ENSURE_ERROR_CLEANUP(EndJob, PointerGetDatum(worker));
  dsm_detach(segment);
}

BackgroundWorkerHandle* StartOwnerJob(Oid owner, const char* name, const char* argument) {
  OwnerSessionStart start = DescribeOwnerSession(owner, name, argument);
  start.queue = DSM_HANDLE_INVALID;
  return StartWorker(start);
}

}  // namespace teamscale

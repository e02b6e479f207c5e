// The worker's side, and how jobs are registered. Plain dialect.
//
// What a worker is told is in its registration: whom to be, which job, its argument, and, when a
// backend waits for it, the shared memory segment that holds the queue back to that backend.
#include "teamscale/postgres/worker/owner_session.h"

#include <utility>

#include "teamscale/postgres/worker/owner_session_start.h"

extern "C" {
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "executor/spi.h"
#include "libpq/pqformat.h"
#include "libpq/pqmq.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/dsm.h"
#include "storage/proc.h"
#include "storage/shm_mq.h"
#include "tcop/dest.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
}

namespace teamscale {

namespace {

constexpr int kMaxJobs = 8;
struct RegisteredJob {
  const char* name;
  OwnerJob run;
};
RegisteredJob jobs[kMaxJobs];
int job_count = 0;

// The owner of the session that this process is; restricted: the session is the bootstrap
// superuser's.
Oid session_owner = InvalidOid;
bool restricted = false;

// Whether a session of the role can be opened beside those that it has.
bool HasSessions(Oid role) {
  HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(role));
  if (!HeapTupleIsValid(tuple))
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("role %u does not exist", role)));
  auto* form = reinterpret_cast<Form_pg_authid>(GETSTRUCT(tuple));
  // A limited number of connections is for the role's clients.
  bool has = form->rolcanlogin && (form->rolconnlimit < 0 || form->rolsuper);
  ReleaseSysCache(tuple);
  return has;
}

// Messages go to the backend that waits, through its queue.
void RedirectMessages(dsm_handle handle) {
  CurrentResourceOwner = ResourceOwnerCreate(nullptr, "teamscale owner session");
  dsm_segment* segment = dsm_attach(handle);
  if (!segment)
    ereport(FATAL, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("the backend that waited for this session has gone")));
  dsm_pin_mapping(segment);
  auto* queue = static_cast<shm_mq*>(dsm_segment_address(segment));
  shm_mq_set_sender(queue, MyProc);
  MemoryContext previous = MemoryContextSwitchTo(TopMemoryContext);
  pq_redirect_to_shm_mq(segment, shm_mq_attach(queue, segment, nullptr));
  MemoryContextSwitchTo(previous);
}

// The owner's own settings (ALTER ROLE ... SET), and what its functions set, must not change what
// our statements mean or how long they may take. For the current transaction.
void FixSettings() {
  static constexpr const char* kSettings[][2] = {{"search_path", "pg_catalog, pg_temp"},
                                                 {"DateStyle", "ISO, YMD"},
                                                 {"IntervalStyle", "postgres"},
                                                 {"TimeZone", "UTC"},
                                                 {"statement_timeout", "0"},
                                                 {"lock_timeout", "0"},
                                                 {"default_tablespace", ""},
                                                 {"idle_in_transaction_session_timeout", "0"}};
  for (const auto& [name, value] : kSettings)
    set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true, 0, false);
}

void OpenSessionOf(const OwnerSessionStart& start) {
  // Whether the role may log in is known only from within a session, which cannot change its role
  // any more; so the starting backend found it out.
  restricted = start.restricted;
  session_owner = start.owner;
  BackgroundWorkerInitializeConnectionByOid(start.database, restricted ? InvalidOid : start.owner,
                                            0);
  for (const auto& [name, value] : {std::pair{"default_transaction_isolation", "read committed"},
                                    std::pair{"default_transaction_read_only", "off"}})
    SetConfigOption(name, value, PGC_USERSET, PGC_S_OVERRIDE);
}

// Within a transaction that has just begun.
void BecomeOwner() {
  if (restricted)
    SetUserIdAndSecContext(session_owner,
                           SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
}

void ReportEnd() {
  StringInfoData message;
  pq_beginmessage(&message, 'X');
  pq_endmessage(&message);
}

}  // namespace

void RegisterOwnerJob(const char* name, OwnerJob job) {
  if (job_count == kMaxJobs) elog(ERROR, "too many owner jobs");
  jobs[job_count++] = {name, job};
}

OwnerSessionStart DescribeOwnerSession(Oid owner, const char* name, const char* argument) {
  OwnerSessionStart start{};
  start.database = MyDatabaseId;
  start.owner = owner;
  start.restricted = !HasSessions(owner);
  start.job = -1;
  for (int i = 0; i < job_count; ++i)
    if (strcmp(jobs[i].name, name) == 0) start.job = i;
  if (start.job < 0 || strlen(argument) >= sizeof(start.argument))
    elog(ERROR, "no such owner job: %s(%s)", name, argument);
  strlcpy(start.argument, argument, sizeof(start.argument));
  return start;
}

Oid OwnerOfSession() { return session_owner; }

void BeginOwnerTransaction() {
  SetCurrentStatementStartTimestamp();
  StartTransactionCommand();
  BecomeOwner();
  FixSettings();
  PushActiveSnapshot(GetTransactionSnapshot());
}

void CommitOwnerTransaction() {
  if (ActiveSnapshotSet()) PopActiveSnapshot();
  // Deferred constraints are checked within, as the owner still.
  CommitTransactionCommand();
  if (restricted) SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, 0);
}

void AbortOwnerTransaction() { AbortCurrentTransaction(); }

void ExecuteInOwnerTransaction(const char* sql) {
  SPI_connect();
  int status = SPI_execute(sql, false, 0);
  if (status < 0)
    ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
                    errmsg("could not execute: %s", SPI_result_code_string(status)),
                    errdetail("The statement is: %s", sql)));
  SPI_finish();
}

void ExecuteOwnerCommand(const char* sql, const char* lock_timeout) {
  // The command may end its transaction and begin another. What it works on outlives that here, and
  // whatever runs within it (event triggers) finds a portal to take its snapshots from.
  MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "teamscale owner command",
                                                ALLOCSET_DEFAULT_SIZES);
  MemoryContext caller = MemoryContextSwitchTo(context);
  auto* raw = linitial_node(RawStmt, pg_parse_query(sql));
  auto* statement = makeNode(PlannedStmt);
  statement->commandType = CMD_UTILITY;
  statement->utilityStmt = raw->stmt;
  statement->stmt_location = raw->stmt_location;
  statement->stmt_len = raw->stmt_len;
  statement->canSetTag = true;
  List* statements = list_make1(statement);
  SetConfigOption("lock_timeout", lock_timeout, PGC_USERSET, PGC_S_OVERRIDE);
  PG_TRY();
  {
    StartTransactionCommand();
    BecomeOwner();
    Portal portal = CreateNewPortal();
    portal->visible = false;
    PortalDefineQuery(portal, nullptr, sql, CreateCommandTag(raw->stmt), statements, nullptr);
    PortalStart(portal, nullptr, 0, InvalidSnapshot);
    MemoryContextSwitchTo(context);
    PortalRun(portal, FETCH_ALL, true, true, None_Receiver, None_Receiver, nullptr);
    PortalDrop(portal, false);
    CommitTransactionCommand();
    if (restricted) SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, 0);
  }
  PG_FINALLY();
  { SetConfigOption("lock_timeout", "0", PGC_USERSET, PGC_S_OVERRIDE); }
  PG_END_TRY();
  MemoryContextSwitchTo(caller);
  MemoryContextDelete(context);
}

}  // namespace teamscale

extern "C" {
PGDLLEXPORT void teamscale_owner_session_main(Datum argument);
}

void teamscale_owner_session_main(Datum) {
  using namespace teamscale;
  OwnerSessionStart start;
  memcpy(&start, MyBgworkerEntry->bgw_extra, sizeof(start));
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  pqsignal(SIGTERM, die);
  BackgroundWorkerUnblockSignals();
  if (start.queue != DSM_HANDLE_INVALID) RedirectMessages(start.queue);
  OpenSessionOf(start);
  pgstat_report_activity(STATE_RUNNING, jobs[start.job].name);
  MemoryContext scratch =
      AllocSetContextCreate(TopMemoryContext, "teamscale owner session", ALLOCSET_DEFAULT_SIZES);
  MemoryContextSwitchTo(scratch);
  jobs[start.job].run(start.argument);
  pgstat_report_stat(true);
  if (start.queue != DSM_HANDLE_INVALID) ReportEnd();
}

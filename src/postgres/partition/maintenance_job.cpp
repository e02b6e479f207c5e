#include "teamscale/postgres/partition/maintenance_job.h"

#include <set>

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/partition/action.h"
#include "teamscale/postgres/partition/calendar.h"
#include "teamscale/postgres/partition/maintenance_record.h"
#include "teamscale/postgres/partition/rewrite_action.h"
#include "teamscale/postgres/partition/table_owner.h"
#include "teamscale/postgres/partition/table_plan.h"
#include "teamscale/postgres/worker/owner_session.h"

extern "C" {
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
}

namespace teamscale {

namespace {

constexpr char kJob[] = "partition maintenance";
// The argument's first word instead of a table.
constexpr char kAllTables[] = "all";

// Runs body in a transaction of the job. Guarded; body too.
template <typename F>
void InOwnerTransaction(F&& body) {
  CallPostgres([&] {
    BeginOwnerTransaction();
    EnterFromPostgres(body);
    CommitOwnerTransaction();
  });
}

// The keys of SQL's advisory locks are of class 1 and 2: no user can hold one of this class.
constexpr std::uint16_t kLockClass = 3;

// One session at a time maintains a table. An advisory lock, as only those end with their session
// whatever happens.
bool LockMaintenance(Oid table, bool wait) {
  BeginOwnerTransaction();
  Oid record =
      get_relname_relid("partition_maintenance", get_namespace_oid("teamscale_internal", false));
  CommitOwnerTransaction();
  LOCKTAG tag;
  SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, record, table, kLockClass);
  return LockAcquire(&tag, ExclusiveLock, true, !wait) != LOCKACQUIRE_NOT_AVAIL;
}

// What a user or the server's shutdown has stopped is no failure of the action.
bool IsCancel(const ErrorData* error) {
  return error->sqlerrcode == ERRCODE_QUERY_CANCELED || error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN;
}

// Runs body outside a transaction. What it raises is given, and the transaction that it left is
// rolled back; a cancel is raised on. Null when all went well. Plain dialect.
template <typename F>
ErrorData* Catch(F&& body) {
  MemoryContext context = CurrentMemoryContext;
  ErrorData* volatile error = nullptr;
  PG_TRY();
  { body(); }
  PG_CATCH();
  {
    MemoryContextSwitchTo(context);
    error = CopyErrorData();
    if (IsCancel(error)) PG_RE_THROW();
    FlushErrorState();
    AbortOwnerTransaction();
  }
  PG_END_TRY();
  MemoryContextSwitchTo(context);
  return error;
}

// Plain dialect.
void Warn(Oid table, const char* what, const ErrorData* error) {
  BeginOwnerTransaction();
  RecordFailure(table, what, error);
  const char* name = get_rel_name(table);
  CommitOwnerTransaction();
  ereport(WARNING, (errcode(error->sqlerrcode),
                    errmsg("could not %s of \"%s\": %s", what, name, error->message),
                    error->detail ? errdetail_internal("%s", error->detail) : 0,
                    errhint("The next run tries again; see teamscale.stat_maintenance.")));
}

// Whether the action was done. Plain dialect.
bool Attempt(Oid table, const char* what, const core::Action& action,
             const core::Retention* retention) {
  if (const ErrorData* error = Catch([&] { PerformAction(table, action, retention); })) {
    Warn(table, what, error);
    return false;
  }
  BeginOwnerTransaction();
  RecordAction(table);
  CommitOwnerTransaction();
  return true;
}

const core::Retention* RetentionOf(const core::PartitionPolicy& policy) {
  auto* rules = std::get_if<core::RangeRules>(&policy.rules);
  return rules && rules->retention ? &*rules->retention : nullptr;
}

void RecordStart(Oid table, const core::Plan& plan) {
  InOwnerTransaction([&] {
    TimestampTz clock = InstantOfPoint(plan.clock);
    std::string newest;
    for (const core::NewestKey& key : plan.newest)
      newest += (newest.empty() ? "{\"" : ", \"") + std::to_string(key.table) +
                "\": " + std::to_string(key.newest);
    if (!newest.empty()) newest += "}";
    const char* text = newest.empty() ? nullptr : newest.c_str();
    std::optional<std::int64_t> ahead = plan.ranges_ahead;
    CallPostgres([=] { RecordRun(table, clock, text, ahead ? &*ahead : nullptr); });
  });
}

enum class Rewrites { kDone, kLeft };

// How a run goes about a table.
struct Run {
  TimestampTz until;
  bool wait;  // for another run of the same table to end
  Rewrites rewrites;
};

// Guarded. Plans are made until one has nothing more to do, and after each rewrite: others are in
// the place of partitions that the plan knew, or what was begun is to be resumed. What failed, or
// is blocked, is left alone for the rest of the run, whatever else was planned for it: a partition
// that was not detached must not be dropped. Gives whether rewrites were left.
bool MaintainUntil(Oid table, const Run& run) {
  bool left = false;
  std::set<std::string> left_alone;
  bool first = true;
  for (bool progress = true; progress; first = false) {
    progress = false;
    std::vector<TablePlan> plans;
    InOwnerTransaction([&] { plans = PlanTables({table}); });
    if (plans.empty()) return false;  // the policy was ended
    const TablePlan& plan = plans.front();
    if (first) RecordStart(table, plan.plan);
    for (const core::Action& action : plan.plan.actions) {
      std::string object = core::QuoteName(action.object.name);
      if (action.kind == core::ActionKind::kBlocked) left_alone.insert(object);
      if (!action.DoesSomething() || left_alone.contains(object)) continue;
      bool rewrite = IsRewrite(action.kind);
      if (rewrite && run.rewrites == Rewrites::kLeft) {
        left = true;
        continue;
      }
      if (GetCurrentTimestamp() >= run.until) return left;
      std::string what = core::ActionName(action.kind) + (" " + object);
      const char* text = what.c_str();
      const core::Retention* retention = RetentionOf(*plan.policy);
      bool done = CallPostgres([&] { return Attempt(table, text, action, retention); });
      if (!done) {
        left_alone.insert(object);
        if (rewrite) left_alone.insert(core::QuoteName(action.parent.name));
      }
      progress = progress || done || rewrite;
      if (rewrite) break;
    }
  }
  return left;
}

// Guarded. Who is asked to maintain a table waits until another run of it has ended; who goes
// through all of them leaves it to that run.
bool MaintainLocked(Oid table, const Run& run) {
  if (!CallPostgres([&] { return LockMaintenance(table, run.wait); })) return false;
  bool left = MaintainUntil(table, run);
  InOwnerTransaction([table] { CallPostgres([table] { RecordRunEnd(table); }); });
  return left;
}

// Guarded. One table after the other; what is wrong with one table's policy stops no other. Gives
// the tables whose rewrites were left.
std::vector<Oid> MaintainEach(const std::vector<Oid>& tables, Rewrites rewrites) {
  std::vector<Oid> left;
  const Run run{.until = DT_NOEND, .wait = false, .rewrites = rewrites};
  for (Oid table : tables) {
    CallPostgres([&] {
      const ErrorData* error = Catch([&] {
        EnterFromPostgres([&] {
          if (MaintainLocked(table, run)) left.push_back(table);
        });
      });
      if (error) Warn(table, "plan the maintenance", error);
    });
  }
  return left;
}

// Guarded. Rewrites may take long: no other table's new partitions wait for them.
void MaintainAll() {
  std::vector<Oid> tables;
  InOwnerTransaction([&] {
    tables = OwnTablesWithPolicy();
    // Those of roles that the owner is a member of are maintained in those roles' sessions.
    std::erase_if(tables, [](Oid table) {
      return CallPostgres([table] { return TableOwner(table); }) != OwnerOfSession();
    });
  });
  MaintainEach(MaintainEach(tables, Rewrites::kLeft), Rewrites::kDone);
}

// The argument is a table's OID and the time until which it is maintained, or kAllTables.
void RunJob(const char* argument) {
  EnterFromPostgres([argument] {
    if (std::string_view(argument) == kAllTables) return MaintainAll();
    char* end;
    auto table = static_cast<Oid>(std::strtoul(argument, &end, 10));
    MaintainLocked(
        table,
        {.until = std::strtoll(end, nullptr, 10), .wait = true, .rewrites = Rewrites::kDone});
  });
}

}  // namespace

void InitMaintenanceJob() { RegisterOwnerJob(kJob, RunJob); }

void MaintainTable(Oid table, TimestampTz until) {
  RunOwnerJob(TableOwner(table), kJob, psprintf("%u %lld", table, static_cast<long long>(until)));
}

BackgroundWorkerHandle* StartMaintenanceOf(Oid owner) {
  return StartOwnerJob(owner, kJob, kAllTables);
}

}  // namespace teamscale

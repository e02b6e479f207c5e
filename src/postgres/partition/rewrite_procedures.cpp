// The procedures behind split_partition() and its like. Plain dialect.
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/partition/rewrite_journal.h"
#include "teamscale/postgres/partition/table_owner.h"
#include "teamscale/postgres/worker/owner_session.h"

extern "C" {
#include "executor/spi.h"
#include "utils/builtins.h"
}

namespace teamscale {

namespace {

void RequireOwnTransactions(FunctionCallInfo call) {
  if (call->context && IsA(call->context, CallContext) &&
      !reinterpret_cast<CallContext*>(call->context)->atomic)
    return;
  ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
                  errmsg("partitions cannot be rewritten inside a transaction block"),
                  errdetail("It takes many transactions of its own."),
                  errhint("CALL the procedure by itself, outside BEGIN and outside functions.")));
}

// Runs a job of a rewrite as the owner of its table, whom the caller must be.
void RunJob(FunctionCallInfo call, const char* job) {
  RequireOwnTransactions(call);
  int64 id = call->args[0].isnull ? 0 : DatumGetInt64(call->args[0].value);
  SPI_connect_ext(SPI_OPT_NONATOMIC);
  Oid table = RewrittenTable(id);
  // Whoever began it has finished it.
  if (OidIsValid(table)) {
    RequireTableOwner(table);
    Oid owner = TableOwner(table);
    char argument[kOwnerJobArgumentSize];
    pg_lltoa(id, argument);
    SPI_commit();
    RunOwnerJob(owner, job, argument);
  }
  SPI_finish();
}

}  // namespace

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_run_rewrite) {
  teamscale::RunJob(fcinfo, "rewrite");
  PG_RETURN_VOID();
}

TEAMSCALE_SQL_FUNCTION(teamscale_undo_rewrite) {
  teamscale::RunJob(fcinfo, "undo rewrite");
  PG_RETURN_VOID();
}

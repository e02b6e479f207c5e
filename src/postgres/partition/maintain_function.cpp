// CALL teamscale.maintain_partitions(). Plain dialect.
#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/partition/maintenance_job.h"
#include "teamscale/postgres/partition/table_owner.h"
#include "teamscale/postgres/partition/table_plan.h"

extern "C" {
#include "access/xact.h"
#include "executor/spi.h"
#include "utils/fmgroids.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
}

namespace teamscale {

namespace {

// The tables, in memory that outlives the transaction.
List* ChosenTables(Oid table) {
  MemoryContext previous = MemoryContextSwitchTo(PortalContext ? PortalContext : TopMemoryContext);
  List* tables = NIL;
  if (OidIsValid(table)) {
    RequireTableOwner(table);
    tables = list_make1_oid(table);
  } else {
    EnterFromPostgres([&] {
      for (Oid own : OwnTablesWithPolicy())
        CallPostgres([&] { tables = lappend_oid(tables, own); });
    });
  }
  MemoryContextSwitchTo(previous);
  return tables;
}

TimestampTz Deadline(const Interval* max_time) {
  if (!max_time) return DT_NOEND;
  return DatumGetTimestampTz(OidFunctionCall2(F_TIMESTAMPTZ_PL_INTERVAL,
                                              TimestampTzGetDatum(GetCurrentTimestamp()),
                                              IntervalPGetDatum(max_time)));
}

}  // namespace

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_maintain_partitions) {
  using namespace teamscale;
  auto* context = castNode(CallContext, fcinfo->context);
  if (context->atomic)
    ereport(ERROR, (errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
                    errmsg("maintain_partitions() cannot be called in a transaction block"),
                    errdetail("Each of its actions is a transaction of its own.")));
  List* tables = ChosenTables(PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0));
  TimestampTz until = Deadline(PG_ARGISNULL(1) ? nullptr : PG_GETARG_INTERVAL_P(1));
  // So that no snapshot and no lock of this session stands in the way of the owner's.
  SPI_connect_ext(SPI_OPT_NONATOMIC);
  SPI_commit();
  ListCell* cell;
  foreach (cell, tables) MaintainTable(lfirst_oid(cell), until);
  SPI_finish();
  PG_RETURN_VOID();
}

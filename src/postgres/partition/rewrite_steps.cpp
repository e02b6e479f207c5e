// What several phases of a rewrite do.
#include "teamscale/postgres/partition/rewrite_steps.h"

#include "teamscale/postgres/boundary/extension_owner.h"
#include "teamscale/postgres/worker/owner_session.h"

extern "C" {
#include "executor/spi.h"
#include "utils/fmgrprotos.h"
}

namespace teamscale {

List* ReadStatements(const char* query, int count, Oid* types, Datum* values, const char* nulls) {
  MemoryContext context = CurrentMemoryContext;
  SPI_connect();
  int status = SPI_execute_with_args(query, count, types, values, nulls, false, 0);
  if (status != SPI_OK_SELECT) elog(ERROR, "could not execute: %s", SPI_result_code_string(status));
  MemoryContext spi = MemoryContextSwitchTo(context);
  List* statements = NIL;
  for (uint64 i = 0; i < SPI_processed; ++i)
    statements = lappend(statements, SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1));
  MemoryContextSwitchTo(spi);
  SPI_finish();
  return statements;
}

void RunStatements(const List* statements) {
  ListCell* cell;
  foreach (cell, statements) ExecuteInOwnerTransaction(static_cast<const char*>(lfirst(cell)));
}

Datum SourcesOf(const Rewrite* rewrite) { return OidArray(rewrite->sources); }

Datum PlanOf(const Rewrite* rewrite) {
  return DirectFunctionCall1(jsonb_in, CStringGetDatum(rewrite->plan));
}

}  // namespace teamscale

// What several phases of a rewrite do.
#include "teamscale/postgres/partition/rewrite_steps.h"

#include "teamscale/postgres/boundary/extension_owner.h"
#include "teamscale/postgres/worker/owner_session.h"

extern "C" {
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
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

Datum TargetsOf(const Rewrite* rewrite) {
  List* tables = NIL;
  for (int i = 0; i < rewrite->target_count; ++i)
    tables = lappend_oid(tables, rewrite->targets[i].table);
  return OidArray(tables);
}

Datum TextArray(const char* const* texts, int count) {
  auto* elements = static_cast<Datum*>(palloc(sizeof(Datum) * (count + 1)));
  for (int i = 0; i < count; ++i) elements[i] = CStringGetTextDatum(texts[i]);
  return PointerGetDatum(construct_array(elements, count, TEXTOID, -1, false, TYPALIGN_INT));
}

Datum NamesOf(const Rewrite* rewrite) {
  auto* elements = static_cast<Datum*>(palloc(sizeof(Datum) * (rewrite->target_count + 1)));
  for (int i = 0; i < rewrite->target_count; ++i)
    elements[i] = DirectFunctionCall1(namein, CStringGetDatum(rewrite->targets[i].name));
  return PointerGetDatum(
      construct_array(elements, rewrite->target_count, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR));
}

Datum BoundsOf(const Rewrite* rewrite) {
  auto** texts = static_cast<const char**>(palloc(sizeof(char*) * (rewrite->target_count + 1)));
  for (int i = 0; i < rewrite->target_count; ++i) texts[i] = rewrite->targets[i].bound;
  return TextArray(texts, rewrite->target_count);
}

}  // namespace teamscale

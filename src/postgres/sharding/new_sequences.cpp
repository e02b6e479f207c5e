#include "teamscale/postgres/sharding/new_sequences.h"

#include "teamscale/postgres/boundary/acting_role.h"

extern "C" {
#include "catalog/pg_type.h"
#include "executor/spi.h"
}

namespace teamscale {

namespace {

void Execute(const char* sql, int count, Oid* types, Datum* values) {
  int status = SPI_execute_with_args(sql, count, types, values, nullptr, false, 0);
  if (status != SPI_OK_SELECT)
    ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
                    errmsg("could not execute: %s", SPI_result_code_string(status))));
}

}  // namespace

ArrayType* SequencesWithoutRange() {
  MemoryContext caller = CurrentMemoryContext;
  ArrayType* sequences = nullptr;
  AsExtensionOwner([&] {
    SPI_connect();
    Execute("SELECT teamscale_internal.sequences_without_range()", 0, nullptr, nullptr);
    bool is_null;
    Datum value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null);
    MemoryContext spi = MemoryContextSwitchTo(caller);
    sequences = DatumGetArrayTypePCopy(value);
    MemoryContextSwitchTo(spi);
    SPI_finish();
  });
  return sequences;
}

void GiveRangesToNewSequences(ArrayType* known) {
  AsExtensionOwner([known] {
    Oid types[] = {REGCLASSARRAYOID};
    Datum values[] = {PointerGetDatum(known)};
    SPI_connect();
    Execute("SELECT teamscale_internal.give_ranges_to_new_sequences($1)", 1, types, values);
    SPI_finish();
  });
}

}  // namespace teamscale

// What a partition holds, as values of its key's type. Plain dialect.
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/partition/bounds.h"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/syscache.h"
}

namespace teamscale {

namespace {

enum Column { kLower, kUpper, kValues, kModulus, kRemainder, kIsDefault, kColumns };

struct Description {
  Datum values[kColumns];
  bool nulls[kColumns];

  void Set(Column column, Datum value) {
    values[column] = value;
    nulls[column] = false;
  }
};

// The bounds of all key columns, with a comma between them; MINVALUE and MAXVALUE as such.
Datum RangeText(const List* bounds) {
  StringInfoData text;
  initStringInfo(&text);
  ListCell* cell;
  foreach (cell, bounds) {
    auto* bound = lfirst_node(PartitionRangeDatum, cell);
    if (text.len > 0) appendStringInfoString(&text, ", ");
    if (bound->kind == PARTITION_RANGE_DATUM_VALUE)
      appendStringInfoString(&text, ConstText(castNode(Const, bound->value)));
    else
      appendStringInfoString(
          &text, bound->kind == PARTITION_RANGE_DATUM_MINVALUE ? "MINVALUE" : "MAXVALUE");
  }
  return CStringGetTextDatum(text.data);
}

Datum ListTexts(const List* values) {
  int count = list_length(values);
  auto* texts = static_cast<Datum*>(palloc(sizeof(Datum) * count));
  auto* nulls = static_cast<bool*>(palloc(sizeof(bool) * count));
  for (int i = 0; i < count; ++i) {
    auto* value = list_nth_node(Const, values, i);
    nulls[i] = value->constisnull;
    texts[i] = nulls[i] ? Datum{0} : CStringGetTextDatum(ConstText(value));
  }
  int dimensions[] = {count};
  int lower[] = {1};
  return PointerGetDatum(
      construct_md_array(texts, nulls, 1, dimensions, lower, TEXTOID, -1, false, TYPALIGN_INT));
}

Description Describe(const PartitionBoundSpec* bound) {
  Description description{};
  for (bool& null : description.nulls) null = true;
  description.Set(kIsDefault, BoolGetDatum(bound->is_default));
  if (bound->is_default) return description;
  switch (bound->strategy) {
    case PARTITION_STRATEGY_RANGE:
      description.Set(kLower, RangeText(bound->lowerdatums));
      description.Set(kUpper, RangeText(bound->upperdatums));
      break;
    case PARTITION_STRATEGY_LIST:
      description.Set(kValues, ListTexts(bound->listdatums));
      break;
    default:
      description.Set(kModulus, Int32GetDatum(bound->modulus));
      description.Set(kRemainder, Int32GetDatum(bound->remainder));
  }
  return description;
}

}  // namespace

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_describe_partition) {
  using namespace teamscale;
  const PartitionBoundSpec* bound = ReadPartitionBound(PG_GETARG_OID(0));
  if (!bound) PG_RETURN_NULL();
  TupleDesc descriptor;
  get_call_result_type(fcinfo, nullptr, &descriptor);
  Description description = Describe(bound);
  PG_RETURN_DATUM(
      HeapTupleGetDatum(heap_form_tuple(descriptor, description.values, description.nulls)));
}

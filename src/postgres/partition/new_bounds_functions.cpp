// Plain dialect. Tables that are no partitions have been refused by the callers in SQL.
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/partition/new_bounds.h"

extern "C" {
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
}

namespace teamscale {

namespace {

// Null for NULL.
List* TextsOf(ArrayType* array) {
  Datum* elements;
  bool* nulls;
  int count;
  deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
  List* texts = NIL;
  for (int i = 0; i < count; ++i)
    texts = lappend(texts, nulls[i] ? nullptr : TextDatumGetCString(elements[i]));
  return texts;
}

List* OidsOf(ArrayType* array) {
  Datum* elements;
  bool* nulls;
  int count;
  deconstruct_array(array, REGCLASSOID, sizeof(Oid), true, TYPALIGN_INT, &elements, &nulls, &count);
  List* oids = NIL;
  for (int i = 0; i < count; ++i)
    if (!nulls[i]) oids = list_append_unique_oid(oids, DatumGetObjectId(elements[i]));
  return oids;
}

}  // namespace

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_split_bounds) {
  using namespace teamscale;
  Oid partition = PG_GETARG_OID(0);
  const List* at = PG_ARGISNULL(1) ? NIL : TextsOf(PG_GETARG_ARRAYTYPE_P(1));
  const List* bounds = SplitBounds(get_partition_parent(partition, false), partition, at);
  int count = list_length(bounds);
  auto* texts = static_cast<Datum*>(palloc(sizeof(Datum) * count));
  for (int i = 0; i < count; ++i)
    texts[i] = CStringGetTextDatum(BoundText(list_nth_node(PartitionBoundSpec, bounds, i)));
  PG_RETURN_ARRAYTYPE_P(construct_array(texts, count, TEXTOID, -1, false, TYPALIGN_INT));
}

TEAMSCALE_SQL_FUNCTION(teamscale_merged_bound) {
  using namespace teamscale;
  const List* partitions = OidsOf(PG_GETARG_ARRAYTYPE_P(0));
  Oid parent = get_partition_parent(linitial_oid(partitions), false);
  PG_RETURN_TEXT_P(cstring_to_text(BoundText(MergedBound(parent, partitions))));
}

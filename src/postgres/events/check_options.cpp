// What create_event_stream() wants to know of its options before it makes anything.

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/events/relation_plan.h"
#include "teamscale/postgres/events/row_filter.h"
#include "teamscale/postgres/events/stream_options.h"

extern "C" {
#include "access/relation.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
}

namespace teamscale {

namespace {

// Pairs of name and value, one after the other.
List* OptionsOf(ArrayType* pairs) {
  Datum* values;
  int count;
  deconstruct_array(pairs, TEXTOID, -1, false, TYPALIGN_INT, &values, nullptr, &count);
  List* options = NIL;
  for (int i = 0; i + 1 < count; i += 2)
    options = lappend(
        options,
        makeDefElem(TextDatumGetCString(values[i]),
                    reinterpret_cast<Node*>(makeString(TextDatumGetCString(values[i + 1]))), -1));
  return options;
}

}  // namespace

}  // namespace teamscale

// check_options(pairs): raises what is wrong with them.
TEAMSCALE_SQL_FUNCTION(teamscale_check_options) {
  teamscale::ParseStreamOptions(teamscale::OptionsOf(PG_GETARG_ARRAYTYPE_P(0)));
  PG_RETURN_VOID();
}

// selects_table(pairs, schema, table): whether a stream of these options has the table.
TEAMSCALE_SQL_FUNCTION(teamscale_selects_table) {
  using namespace teamscale;
  StreamOptions options = ParseStreamOptions(OptionsOf(PG_GETARG_ARRAYTYPE_P(0)));
  const char* schema = text_to_cstring(PG_GETARG_TEXT_PP(1));
  const char* table = text_to_cstring(PG_GETARG_TEXT_PP(2));
  PG_RETURN_BOOL(EnterFromPostgres([&] { return options.selection->HasTable(schema, table); }));
}

// judges_old_rows(pairs, schema, table, leaf): whether the old rows of UPDATE and DELETE have all
// columns that the row filter reads. Raises what is wrong with the filter.
TEAMSCALE_SQL_FUNCTION(teamscale_judges_old_rows) {
  using namespace teamscale;
  StreamOptions options = ParseStreamOptions(OptionsOf(PG_GETARG_ARRAYTYPE_P(0)));
  Relation relation = relation_open(PG_GETARG_OID(3), AccessShareLock);
  RowFilter* filter = MakeRowFilter(options, text_to_cstring(PG_GETARG_TEXT_PP(1)),
                                    text_to_cstring(PG_GETARG_TEXT_PP(2)), relation);
  bool judged = !filter || CanJudgeOldRows(filter, relation);
  relation_close(relation, AccessShareLock);
  PG_RETURN_BOOL(judged);
}

TEAMSCALE_SQL_FUNCTION(teamscale_schema_version) {
  Relation relation = relation_open(PG_GETARG_OID(0), AccessShareLock);
  char* text =
      psprintf("%016llx", static_cast<unsigned long long>(teamscale::SchemaVersionOf(relation)));
  relation_close(relation, AccessShareLock);
  PG_RETURN_TEXT_P(cstring_to_text(text));
}

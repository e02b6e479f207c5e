// bucket_of(), node_of() and route(): where the rows of a key are, for applications.

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/sharding/key_argument.h"

extern "C" {
#include "access/htup_details.h"
#include "funcapi.h"
#include "libpq-fe.h"
#include "utils/builtins.h"
}

namespace teamscale {

namespace {

// What an application needs to open its own connection; null where the node's conninfo leaves it
// to libpq's defaults.
struct Address {
  char* host;
  char* port;
  char* dbname;
};

char* OptionValue(const PQconninfoOption* options, const char* keyword) {
  for (const PQconninfoOption* option = options; option->keyword; ++option)
    if (std::string_view(option->keyword) == keyword && option->val) return pstrdup(option->val);
  return nullptr;
}

Address ParseAddress(const char* conninfo) {
  char* message = nullptr;
  PQconninfoOption* options = PQconninfoParse(conninfo, &message);
  if (!options) {
    char* copy = pstrdup(message ? message : "out of memory");
    PQfreemem(message);
    ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
                    errmsg("the conninfo of a node cannot be parsed: %s", copy)));
  }
  Address address{};
  PG_TRY();
  {
    address.host = OptionValue(options, "host");
    if (!address.host) address.host = OptionValue(options, "hostaddr");
    address.port = OptionValue(options, "port");
    address.dbname = OptionValue(options, "dbname");
  }
  PG_FINALLY();
  { PQconninfoFree(options); }
  PG_END_TRY();
  return address;
}

void SetText(const char* text, int column, Datum* values, bool* nulls) {
  nulls[column] = !text;
  if (text) values[column] = CStringGetTextDatum(text);
}

}  // namespace

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_bucket_of) {
  PG_RETURN_INT32(teamscale::BucketOfArgument(fcinfo, 0, 1)->id);
}

TEAMSCALE_SQL_FUNCTION(teamscale_node_of) {
  using namespace teamscale;
  const core::Bucket* bucket = BucketOfArgument(fcinfo, 0, 1);
  PG_RETURN_TEXT_P(cstring_to_text(CurrentShardMap()->FindNode(bucket->node)->name.c_str()));
}

TEAMSCALE_SQL_FUNCTION(teamscale_route) {
  using namespace teamscale;
  const core::Bucket* bucket = BucketOfArgument(fcinfo, 0, 1);
  const core::ShardMap* map = CurrentShardMap();
  const core::Node* node = map->FindNode(bucket->node);
  Address address = ParseAddress(node->conninfo.c_str());

  TupleDesc descriptor;
  if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE)
    elog(ERROR, "route() must return a row");
  constexpr int kColumns = 6;
  Datum values[kColumns] = {};
  bool nulls[kColumns] = {};
  SetText(node->name.c_str(), 0, values, nulls);
  values[1] = Int32GetDatum(bucket->id);
  SetText(address.host, 2, values, nulls);
  SetText(address.port, 3, values, nulls);
  SetText(address.dbname, 4, values, nulls);
  values[5] = Int64GetDatum(map->epoch());
  PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls)));
}

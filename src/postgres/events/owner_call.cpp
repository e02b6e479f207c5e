// What users call of event streams: each public function hands its arguments to the function of the
// same name in teamscale_internal, which runs as the extension's owner and is told who called. (An
// SQL function with SECURITY DEFINER could not tell: current_user is its owner then.)

#include "teamscale/postgres/boundary/extension_owner.h"
#include "teamscale/postgres/boundary/sql_function.h"

extern "C" {
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/tuplestore.h"
}

namespace teamscale {

namespace {

struct Call {
  const char* sql;
  int count;
  Oid* types;
  Datum* values;
  char* nulls;
};

// SELECT * FROM teamscale_internal.name(caller, arguments...)
Call Translate(FunctionCallInfo fcinfo) {
  Oid function = fcinfo->flinfo->fn_oid;
  Oid* types;
  int count;
  get_func_signature(function, &types, &count);
  StringInfoData sql;
  initStringInfo(&sql);
  appendStringInfo(&sql, "SELECT * FROM teamscale_internal.%s($1",
                   quote_identifier(get_func_name(function)));
  Call call = {.sql = nullptr,
               .count = count + 1,
               .types = static_cast<Oid*>(palloc(sizeof(Oid) * (count + 1))),
               .values = static_cast<Datum*>(palloc(sizeof(Datum) * (count + 1))),
               .nulls = static_cast<char*>(palloc(count + 2))};
  call.types[0] = OIDOID;
  call.values[0] = ObjectIdGetDatum(GetUserId());
  call.nulls[0] = ' ';
  for (int i = 0; i < count; ++i) {
    appendStringInfo(&sql, ", $%d", i + 2);
    call.types[i + 1] = types[i];
    call.values[i + 1] = PG_GETARG_DATUM(i);
    call.nulls[i + 1] = PG_ARGISNULL(i) ? 'n' : ' ';
  }
  appendStringInfoChar(&sql, ')');
  call.sql = sql.data;
  return call;
}

}  // namespace

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_call_as_owner) {
  teamscale::Call call = teamscale::Translate(fcinfo);
  bool set = fcinfo->resultinfo != nullptr && get_func_retset(fcinfo->flinfo->fn_oid);
  if (set) InitMaterializedSRF(fcinfo, 0);
  SPI_connect();
  teamscale::ExecuteAsExtensionOwner(call.sql, call.count, call.types, call.values, call.nulls);
  Datum result = Datum{0};
  bool is_null = true;
  if (set) {
    auto* target = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
    for (std::uint64_t i = 0; i < SPI_processed; ++i)
      tuplestore_puttuple(target->setResult, SPI_tuptable->vals[i]);
  } else if (SPI_processed == 1 && SPI_tuptable->tupdesc->natts > 0) {
    Form_pg_attribute attribute = TupleDescAttr(SPI_tuptable->tupdesc, 0);
    Datum value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null);
    if (!is_null && attribute->atttypid != VOIDOID)
      result = SPI_datumTransfer(value, attribute->attbyval, attribute->attlen);
  }
  SPI_finish();
  if (is_null && !set) PG_RETURN_NULL();
  return result;
}

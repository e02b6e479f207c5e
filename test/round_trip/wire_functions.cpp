// SQL functions that send values through the forms of wire.h and back.
#include <memory>

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/sharding/wire.h"

extern "C" {
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "executor/tuptable.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

namespace teamscale::round_trip {

namespace {

// A result of one row and one column, as libpq would hold it.
PGresult* MakeResult(const RemoteParameter& parameter) {
  PGresult* result = PQmakeEmptyPGresult(nullptr, PGRES_TUPLES_OK);
  char name[] = "value";
  PGresAttDesc column{name, 0, 0, parameter.binary ? 1 : 0, parameter.type, -1, -1};
  PQsetResultAttrs(result, 1, &column);
  PQsetvalue(result, 0, 0, const_cast<char*>(parameter.value.data()),
             parameter.is_null ? -1 : static_cast<int>(parameter.value.size()));
  return result;
}

struct Value {
  Datum datum;
  bool is_null;
};

// Plain.
Value Decode(const PGresult* result, Oid type) {
  TupleDesc columns = CreateTemplateTupleDesc(1);
  TupleDescInitEntry(columns, 1, "value", type, -1, 0);
  Value value;
  RowReader::Make(columns)->Read(result, 0, &value.datum, &value.is_null);
  return value;
}

Value SendAndRead(Datum datum, bool is_null, Oid type) {
  RemoteParameter parameter = EncodeParameter(datum, is_null, type);
  std::unique_ptr<PGresult, decltype(&PQclear)> result(MakeResult(parameter), PQclear);
  return CallPostgres([&] { return Decode(result.get(), type); });
}

}  // namespace

}  // namespace teamscale::round_trip

// send_and_read(anyelement) RETURNS anyelement: encoded as a parameter, decoded as a result.
TEAMSCALE_SQL_FUNCTION(send_and_read) {
  using namespace teamscale;
  auto value = EnterFromPostgres([&] {
    return round_trip::SendAndRead(PG_GETARG_DATUM(0), PG_ARGISNULL(0),
                                   get_fn_expr_argtype(fcinfo->flinfo, 0));
  });
  fcinfo->isnull = value.is_null;
  return value.datum;
}

// travels_binary(anyelement) RETURNS boolean
TEAMSCALE_SQL_FUNCTION(travels_binary) {
  PG_RETURN_BOOL(teamscale::TravelsBinary(get_fn_expr_argtype(fcinfo->flinfo, 0)));
}

// copy_rows(regclass) RETURNS bytea: what is sent to COPY ... FROM STDIN for a table's rows.
TEAMSCALE_SQL_FUNCTION(copy_rows) {
  using namespace teamscale;
  Relation relation = table_open(PG_GETARG_OID(0), AccessShareLock);
  CopyRowWriter* writer = CopyRowWriter::Make(RelationGetDescr(relation));
  StringInfoData out;
  initStringInfo(&out);
  writer->Begin(&out);
  TableScanDesc scan = table_beginscan(relation, GetActiveSnapshot(), 0, nullptr);
  TupleTableSlot* slot = table_slot_create(relation, nullptr);
  while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
    slot_getallattrs(slot);
    writer->Append(&out, slot->tts_values, slot->tts_isnull);
  }
  ExecDropSingleTupleTableSlot(slot);
  table_endscan(scan);
  table_close(relation, AccessShareLock);
  writer->End(&out);
  auto* bytes = static_cast<bytea*>(palloc(out.len + VARHDRSZ));
  SET_VARSIZE(bytes, out.len + VARHDRSZ);
  memcpy(VARDATA(bytes), out.data, out.len);
  PG_RETURN_BYTEA_P(bytes);
}

// copies_binary(regclass) RETURNS boolean
TEAMSCALE_SQL_FUNCTION(copies_binary) {
  Relation relation = table_open(PG_GETARG_OID(0), AccessShareLock);
  bool binary = teamscale::CanTravelBinary(RelationGetDescr(relation));
  table_close(relation, AccessShareLock);
  PG_RETURN_BOOL(binary);
}

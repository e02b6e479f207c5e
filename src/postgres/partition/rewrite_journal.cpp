#include "teamscale/postgres/partition/rewrite_journal.h"

#include "teamscale/postgres/boundary/extension_owner.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/partition/table_owner.h"
#include "teamscale/postgres/worker/owner_session.h"

extern "C" {
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/xid8.h"
}

namespace teamscale {

namespace {

constexpr const char* kPhases[] = {"building", "mirroring", "copying", "checking",
                                   "waiting",  "securing",  "swapping"};

RewritePhase PhaseOf(const char* name) {
  for (int i = 0; i < static_cast<int>(lengthof(kPhases)); ++i)
    if (strcmp(kPhases[i], name) == 0) return static_cast<RewritePhase>(i);
  elog(ERROR, "unknown phase of a rewrite: %s", name);
  pg_unreachable();
}

// Parameters of a statement, at most these.
struct Parameters {
  static constexpr int kMost = 6;
  int count = 0;
  Oid types[kMost] = {};
  Datum values[kMost] = {};
  char nulls[kMost] = {};

  Parameters& Add(Oid type, Datum value, bool is_null = false) {
    types[count] = type;
    values[count] = value;
    nulls[count++] = is_null ? 'n' : ' ';
    return *this;
  }
};

uint64 Execute(const char* sql, const Parameters& given) {
  Parameters parameters = given;
  ExecuteAsExtensionOwner(sql, parameters.count, parameters.types, parameters.values,
                          parameters.nulls);
  return SPI_processed;
}

void Change(const char* sql, const Parameters& parameters) {
  SPI_connect();
  Execute(sql, parameters);
  SPI_finish();
}

Parameters Id(int64 id) { return Parameters().Add(INT8OID, Int64GetDatum(id)); }

Datum Value(uint64 row, int column, bool* is_null) {
  return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, is_null);
}

Oid OidValue(uint64 row, int column) {
  bool is_null;
  Datum value = Value(row, column, &is_null);
  return is_null ? InvalidOid : DatumGetObjectId(value);
}

const char* TextValue(uint64 row, int column, MemoryContext context) {
  const char* text = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
  return text ? MemoryContextStrdup(context, text) : nullptr;
}

bool ReadHead(Rewrite* rewrite, MemoryContext context) {
  if (Execute("SELECT relation, operation, phase, destination, cancelled, horizon"
              " FROM teamscale_internal.rewrite WHERE rewrite_id = $1",
              Id(rewrite->id)) == 0)
    return false;
  rewrite->table = OidValue(0, 1);
  rewrite->operation = TextValue(0, 2, context);
  rewrite->phase = PhaseOf(TextValue(0, 3, context));
  rewrite->destination = OidValue(0, 4);
  bool is_null;
  rewrite->cancelled = DatumGetBool(Value(0, 5, &is_null));
  Datum horizon = Value(0, 6, &is_null);
  rewrite->horizon = is_null ? InvalidFullTransactionId : DatumGetFullTransactionId(horizon);
  return true;
}

List* OidColumn(MemoryContext context) {
  List* oids = NIL;
  MemoryContext spi = MemoryContextSwitchTo(context);
  for (uint64 i = 0; i < SPI_processed; ++i) oids = lappend_oid(oids, OidValue(i, 1));
  MemoryContextSwitchTo(spi);
  return oids;
}

void ReadTables(Rewrite* rewrite, MemoryContext context) {
  Execute(
      "SELECT source FROM teamscale_internal.rewrite_source WHERE rewrite_id = $1 ORDER BY "
      "position",
      Id(rewrite->id));
  rewrite->sources = OidColumn(context);
  Execute(
      "SELECT target FROM teamscale_internal.rewrite_target WHERE rewrite_id = $1 ORDER BY "
      "position",
      Id(rewrite->id));
  rewrite->targets = OidColumn(context);
  Execute(
      "SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(t) ORDER BY t.position)::text,"
      " pg_catalog.bool_or(t.bound = 'DEFAULT')"
      " FROM teamscale_internal.rewrite_target AS t WHERE rewrite_id = $1",
      Id(rewrite->id));
  rewrite->plan = TextValue(0, 1, context);
  bool is_null;
  rewrite->makes_default = DatumGetBool(Value(0, 2, &is_null));
}

Datum BlockDatum(BlockNumber block) { return Int64GetDatum(block); }

}  // namespace

Rewrite* LoadRewrite(int64 id) {
  MemoryContext context = CurrentMemoryContext;
  auto* rewrite = static_cast<Rewrite*>(palloc0(sizeof(Rewrite)));
  rewrite->id = id;
  BeginOwnerTransaction();
  SPI_connect();
  bool found = ReadHead(rewrite, context);
  if (found) ReadTables(rewrite, context);
  SPI_finish();
  CommitOwnerTransaction();
  MemoryContextSwitchTo(context);
  return found ? rewrite : nullptr;
}

void EnterPhase(const Rewrite* rewrite, RewritePhase phase) {
  Change(
      "UPDATE teamscale_internal.rewrite SET phase = $2, phase_at = pg_catalog.clock_timestamp(),"
      " waits_for = '{}'"
      " WHERE rewrite_id = $1",
      Id(rewrite->id).Add(TEXTOID, CStringGetTextDatum(kPhases[static_cast<int>(phase)])));
}

void CloseTable(const Rewrite* rewrite) {
  Change("UPDATE teamscale_internal.rewrite_relation SET is_closed = true WHERE relation = $1",
         Parameters().Add(OIDOID, ObjectIdGetDatum(rewrite->table)));
}

void RecordTargets(const Rewrite* rewrite, Oid destination, const List* targets) {
  Change("UPDATE teamscale_internal.rewrite SET destination = $2 WHERE rewrite_id = $1",
         Id(rewrite->id).Add(OIDOID, ObjectIdGetDatum(destination)));
  Datum oids = OidArray(targets);
  Change(
      "UPDATE teamscale_internal.rewrite_target SET target = $2[position]"
      " WHERE rewrite_id = $1",
      Id(rewrite->id).Add(OIDARRAYOID, oids));
  Change(
      "INSERT INTO teamscale_internal.rewrite_relation (relation, rewrite_id, is_copy)"
      " SELECT r, $1, true FROM pg_catalog.unnest($2 || $3) AS r",
      Id(rewrite->id).Add(OIDARRAYOID, oids).Add(OIDOID, ObjectIdGetDatum(destination)));
}

void RecordBlocks(Oid source, Oid file, BlockNumber blocks) {
  Change(
      "UPDATE teamscale_internal.rewrite_source SET file = $2, blocks = $3,"
      " remaining = pg_catalog.int8multirange(pg_catalog.int8range(0, $3)) WHERE source = $1",
      Parameters()
          .Add(OIDOID, ObjectIdGetDatum(source))
          .Add(OIDOID, ObjectIdGetDatum(file))
          .Add(INT8OID, BlockDatum(blocks)));
}

Oid CountedFile(Oid source) {
  SPI_connect();
  Execute("SELECT file FROM teamscale_internal.rewrite_source WHERE source = $1",
          Parameters().Add(OIDOID, ObjectIdGetDatum(source)));
  Oid file = SPI_processed == 1 ? OidValue(0, 1) : InvalidOid;
  SPI_finish();
  return file;
}

bool RemainingBlocks(Oid source, BlockNumber from, BlockRange* range) {
  SPI_connect();
  bool found =
      Execute(
          "SELECT greatest(pg_catalog.lower(r), $2), pg_catalog.upper(r)"
          " FROM teamscale_internal.rewrite_source AS s, pg_catalog.unnest(s.remaining) AS r"
          " WHERE s.source = $1 AND pg_catalog.upper(r) > $2 ORDER BY r LIMIT 1",
          Parameters().Add(OIDOID, ObjectIdGetDatum(source)).Add(INT8OID, BlockDatum(from))) == 1;
  if (found) {
    bool is_null;
    range->begin = static_cast<BlockNumber>(DatumGetInt64(Value(0, 1, &is_null)));
    range->end = static_cast<BlockNumber>(DatumGetInt64(Value(0, 2, &is_null)));
  }
  SPI_finish();
  return found;
}

void RecordCopied(const Rewrite* rewrite, Oid source, BlockRange range, bool complete, int64 rows) {
  if (complete)
    Change(
        "UPDATE teamscale_internal.rewrite_source SET remaining = remaining"
        " - pg_catalog.int8multirange(pg_catalog.int8range($2, $3)) WHERE source = $1",
        Parameters()
            .Add(OIDOID, ObjectIdGetDatum(source))
            .Add(INT8OID, BlockDatum(range.begin))
            .Add(INT8OID, BlockDatum(range.end)));
  Change(
      "UPDATE teamscale_internal.rewrite SET rows_copied = rows_copied + $2"
      " WHERE rewrite_id = $1",
      Id(rewrite->id).Add(INT8OID, Int64GetDatum(rows)));
}

void RecordWaiting(const Rewrite* rewrite, const List* processes) {
  int count = list_length(processes);
  auto* elements = static_cast<Datum*>(palloc(sizeof(Datum) * (count + 1)));
  for (int i = 0; i < count; ++i) elements[i] = Int32GetDatum(list_nth_int(processes, i));
  ArrayType* array = construct_array(elements, count, INT4OID, sizeof(int32), true, TYPALIGN_INT);
  Change("UPDATE teamscale_internal.rewrite SET waits_for = $2 WHERE rewrite_id = $1",
         Id(rewrite->id).Add(INT4ARRAYOID, PointerGetDatum(array)));
}

void RecordHorizon(const Rewrite* rewrite, FullTransactionId horizon) {
  Change("UPDATE teamscale_internal.rewrite SET horizon = $2 WHERE rewrite_id = $1",
         Id(rewrite->id).Add(XID8OID, FullTransactionIdGetDatum(horizon)));
}

void RecordSwapAttempt(const Rewrite* rewrite) {
  Change(
      "UPDATE teamscale_internal.rewrite SET swap_attempts = swap_attempts + 1, waits_for ="
      " ARRAY(SELECT DISTINCT l.pid FROM pg_catalog.pg_locks AS l"
      "       JOIN teamscale_internal.rewrite_relation AS r ON r.relation = l.relation"
      "       WHERE r.rewrite_id = $1 AND l.granted AND l.pid <> pg_catalog.pg_backend_pid()"
      "         AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d"
      "                           WHERE d.datname = pg_catalog.current_database()))"
      " WHERE rewrite_id = $1",
      Id(rewrite->id));
}

void CancelRewrite(int64 id) {
  Change("UPDATE teamscale_internal.rewrite SET cancelled = true WHERE rewrite_id = $1", Id(id));
}

int RewriteWorker(int64 id) {
  SPI_connect();
  Execute(
      "SELECT pid FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND granted"
      " AND database = (SELECT oid FROM pg_catalog.pg_database"
      "                 WHERE datname = pg_catalog.current_database())"
      " AND classid = ($1 >> 32)::oid AND objid = ($1 & 4294967295)::oid AND objsubid = 4",
      Id(id));
  bool is_null;
  int pid = SPI_processed == 1 ? DatumGetInt32(Value(0, 1, &is_null)) : 0;
  SPI_finish();
  return pid;
}

Oid RewrittenTable(int64 id) {
  SPI_connect();
  Execute("SELECT relation FROM teamscale_internal.rewrite WHERE rewrite_id = $1", Id(id));
  Oid table = SPI_processed == 1 ? OidValue(0, 1) : InvalidOid;
  SPI_finish();
  return table;
}

void ForgetRewrite(int64 id) {
  Change("DELETE FROM teamscale_internal.rewrite WHERE rewrite_id = $1", Id(id));
}

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_record_rewrite) {
  using namespace teamscale;
  RequireTableOwner(PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0));
  constexpr Oid kTypes[] = {OIDOID, TEXTOID, OIDARRAYOID, JSONBOID};
  Parameters parameters;
  for (int i = 0; i < static_cast<int>(lengthof(kTypes)); ++i)
    parameters.Add(kTypes[i], PG_GETARG_DATUM(i), PG_ARGISNULL(i));
  SPI_connect();
  Execute("SELECT teamscale_internal.store_rewrite($1, $2, $3, $4)", parameters);
  bool is_null;
  Datum id = Value(0, 1, &is_null);
  SPI_finish();
  return id;
}

#include "teamscale/postgres/partition/maintenance_record.h"

#include "teamscale/postgres/boundary/extension_owner.h"

extern "C" {
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
}

namespace teamscale {

namespace {

// The first parameter is the table's OID.
void Change(const char* sql, int count, Oid* types, Datum* values, const char* nulls = nullptr) {
  SPI_connect();
  ExecuteAsExtensionOwner(sql, count, types, values, nulls);
  SPI_finish();
}

}  // namespace

void RecordRun(Oid table, TimestampTz clock, const char* newest, const std::int64_t* ahead) {
  Oid types[] = {OIDOID, TIMESTAMPTZOID, TEXTOID, INT8OID};
  Datum values[] = {ObjectIdGetDatum(table), TimestampTzGetDatum(clock),
                    newest ? CStringGetTextDatum(newest) : Datum{0},
                    ahead ? Int64GetDatum(*ahead) : Datum{0}};
  char nulls[] = {' ', ' ', newest ? ' ' : 'n', ahead ? ' ' : 'n', '\0'};
  Change(
      "UPDATE teamscale_internal.partition_maintenance SET last_run = pg_catalog.clock_timestamp(),"
      " clock = $2, newest = coalesce($3::jsonb, newest), ranges_ahead = $4, last_end = NULL"
      " WHERE relation = $1",
      4, types, values, nulls);
}

void RecordRunEnd(Oid table) {
  Oid types[] = {OIDOID};
  Datum values[] = {ObjectIdGetDatum(table)};
  Change(
      "UPDATE teamscale_internal.partition_maintenance SET last_end = pg_catalog.clock_timestamp(),"
      " failed_runs = CASE WHEN last_failure >= last_run THEN failed_runs + 1 ELSE 0 END"
      " WHERE relation = $1",
      1, types, values);
}

void RecordAction(Oid table) {
  Oid types[] = {OIDOID};
  Datum values[] = {ObjectIdGetDatum(table)};
  Change(
      "UPDATE teamscale_internal.partition_maintenance SET actions = actions + 1 WHERE relation = "
      "$1",
      1, types, values);
}

void RecordFailure(Oid table, const char* action, const ErrorData* error) {
  Oid types[] = {OIDOID, TEXTOID, TEXTOID, TEXTOID};
  Datum values[] = {ObjectIdGetDatum(table), CStringGetTextDatum(action),
                    CStringGetTextDatum(unpack_sql_state(error->sqlerrcode)),
                    CStringGetTextDatum(error->message ? error->message : "")};
  Change(
      "UPDATE teamscale_internal.partition_maintenance SET failures = failures + 1,"
      " last_failure = pg_catalog.clock_timestamp(), last_failed_action = $2, last_sqlstate = $3,"
      " last_message = $4 WHERE relation = $1",
      4, types, values);
}

void RecordExpired(Oid table, Oid partition, const char* on_expiry, const char* move_to) {
  Oid types[] = {OIDOID, OIDOID, TEXTOID, TEXTOID};
  Datum values[] = {ObjectIdGetDatum(table), ObjectIdGetDatum(partition),
                    CStringGetTextDatum(on_expiry), move_to ? CStringGetTextDatum(move_to) : 0};
  Change(
      "INSERT INTO teamscale_internal.expired_partition (relation, partition, on_expiry, move_to)"
      " VALUES ($1, $2, $3, $4) ON CONFLICT (partition) DO UPDATE"
      " SET on_expiry = excluded.on_expiry, move_to = excluded.move_to",
      4, types, values, move_to ? nullptr : "   n");
}

void ForgetExpired(Oid partition) {
  Oid types[] = {OIDOID};
  Datum values[] = {ObjectIdGetDatum(partition)};
  Change("DELETE FROM teamscale_internal.expired_partition WHERE partition = $1", 1, types, values);
}

}  // namespace teamscale

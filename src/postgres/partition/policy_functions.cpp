// Storing a policy. The functions run as their caller, who must own the table; only the catalog's
// rows are written as the extension's owner.
#include "teamscale/postgres/boundary/extension_owner.h"
#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/partition/calendar.h"
#include "teamscale/postgres/partition/maintenance_clock.h"
#include "teamscale/postgres/partition/stored_policy.h"
#include "teamscale/postgres/partition/table_owner.h"

extern "C" {
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/timestamp.h"
}

namespace teamscale {

namespace {

void Write(Oid table, Datum levels) {
  Oid types[] = {OIDOID, JSONBOID};
  Datum values[] = {ObjectIdGetDatum(table), levels};
  SPI_connect();
  ExecuteAsExtensionOwner("SELECT teamscale_internal.write_partition_policy($1, $2)", 2, types,
                          values, nullptr);
  SPI_finish();
}

// Guarded: reads the policy as maintenance will, which throws for what cannot be carried out.
void Check(Oid table) {
  for (const StoredPolicy& stored : ReadPolicies({table}))
    if (auto problem = core::CheckPolicy(*stored.policy)) throw InvalidParameter(*problem);
}

}  // namespace

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_store_partition_policy) {
  using namespace teamscale;
  Oid table = PG_GETARG_OID(0);
  RequireTableOwner(table);
  Write(table, PG_GETARG_DATUM(1));
  return EnterFromPostgres([table] {
    Check(table);
    return Datum{0};
  });
}

TEAMSCALE_SQL_FUNCTION(teamscale_accept_partition_clock) {
  using namespace teamscale;
  Oid table = PG_GETARG_OID(0);
  RequireTableOwner(table);
  Oid types[] = {OIDOID, TIMESTAMPTZOID};
  Datum values[] = {ObjectIdGetDatum(table), TimestampTzGetDatum(MaintenanceClock())};
  SPI_connect();
  ExecuteAsExtensionOwner(
      "UPDATE teamscale_internal.partition_maintenance SET clock = $2, newest = NULL WHERE "
      "relation = $1",
      2, types, values, nullptr);
  SPI_finish();
  PG_RETURN_VOID();
}

// The entry points of distribute_table(), undistribute_table() and place_values(): they check what
// holds for all of them, and call their bodies (sql/sharding) as the extension's owner on behalf of
// the caller.

#include "teamscale/postgres/boundary/acting_role.h"
#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/cluster/node_session.h"
#include "teamscale/postgres/sharding/distribution_progress.h"

extern "C" {
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/guc.h"
#include "utils/syscache.h"
}

namespace teamscale {

namespace {

// Expressions, constants and rows go through text, here and on the other nodes, to which these
// settings travel; new tables are as they are described and not as the session prefers them. Rows
// that row security would hide are an error. Many small queries on the catalogs, whose costs are
// overestimated, are not worth compiling.
constexpr const char* kSettings[][2] = {
    {"search_path", "pg_catalog, pg_temp"},
    {"datestyle", "ISO, YMD"},
    {"intervalstyle", "postgres"},
    {"extra_float_digits", "3"},
    {"bytea_output", "hex"},
    {"array_nulls", "on"},
    {"xmloption", "content"},
    {"default_tablespace", ""},
    {"default_table_access_method", "heap"},
    {"row_security", "off"},
    {"jit", "off"},
};

void CheckSession(const char* function) {
  if (InNodeSession())
    ereport(ERROR,
            (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
             errmsg("%s() cannot be called through another node", function),
             errhint("Connect to the node itself, or call the function on the node at hand.")));
  if (CurrentScope() == Scope::kLocal)
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("%s() acts on all nodes", function), errdetail("teamscale.scope is local."),
             errhint("Set teamscale.scope to cluster.")));
}

// A row that was committed after the transaction's snapshot would not be seen, and lost.
void CheckIsolation(const char* function) {
  if (!IsolationUsesXactSnapshot()) return;
  ereport(ERROR,
          (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
           errmsg("%s() needs the isolation level READ COMMITTED", function),
           errdetail("Rows that were committed after the transaction began would be left behind."),
           errhint("Begin the transaction with ISOLATION LEVEL READ COMMITTED.")));
}

void CheckGiven(FunctionCallInfo fcinfo, int count, const char* function) {
  for (int i = 0; i < count; ++i)
    if (PG_ARGISNULL(i))
      ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                      errmsg("argument %d of %s() must not be null", i + 1, function)));
}

void CheckExists(Oid table) {
  if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(table)))
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
                    errmsg("relation with OID %u does not exist", table)));
}

void CallBody(const char* call, FunctionCallInfo fcinfo, const Oid* types) {
  int count = PG_NARGS();
  auto* values = static_cast<Datum*>(palloc(sizeof(Datum) * count));
  auto* nulls = static_cast<char*>(palloc(count));
  for (int i = 0; i < count; ++i) {
    values[i] = PG_GETARG_DATUM(i);
    nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
  }
  AsExtensionOwner([=] {
    int settings = NewGUCNestLevel();
    for (auto& [name, value] : kSettings)
      set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    SPI_connect();
    int status =
        SPI_execute_with_args(call, count, const_cast<Oid*>(types), values, nulls, false, 0);
    if (status != SPI_OK_SELECT)
      ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
                      errmsg("could not execute: %s", SPI_result_code_string(status))));
    SPI_finish();
    AtEOXact_GUC(true, settings);
  });
}

// With its progress shown.
void MoveTable(const char* function, const char* call, FunctionCallInfo fcinfo, const Oid* types) {
  CheckSession(function);
  CheckIsolation(function);
  CheckExists(PG_GETARG_OID(0));
  BeginDistributionProgress(function, PG_GETARG_OID(0));
  PG_TRY();
  { CallBody(call, fcinfo, types); }
  PG_FINALLY();
  { EndDistributionProgress(); }
  PG_END_TRY();
}

}  // namespace

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_distribute_table) {
  static const Oid types[] = {REGCLASSOID, NAMEOID, TEXTOID, INT4OID, REGCLASSOID, TEXTOID};
  teamscale::CheckGiven(fcinfo, 2, "distribute_table");
  teamscale::MoveTable("distribute_table",
                       "SELECT teamscale_internal.distribute_table($1, $2, $3, $4, $5, $6)", fcinfo,
                       types);
  PG_RETURN_VOID();
}

TEAMSCALE_SQL_FUNCTION(teamscale_undistribute_table) {
  static const Oid types[] = {REGCLASSOID};
  teamscale::CheckGiven(fcinfo, 1, "undistribute_table");
  teamscale::MoveTable("undistribute_table", "SELECT teamscale_internal.undistribute_table($1)",
                       fcinfo, types);
  PG_RETURN_VOID();
}

TEAMSCALE_SQL_FUNCTION(teamscale_place_values) {
  static const Oid types[] = {REGCLASSOID, TEXTARRAYOID, TEXTOID};
  teamscale::CheckGiven(fcinfo, 3, "place_values");
  teamscale::CheckSession("place_values");
  teamscale::CheckExists(PG_GETARG_OID(0));
  teamscale::CallBody("SELECT teamscale_internal.place_values($1, $2, $3)", fcinfo, types);
  PG_RETURN_VOID();
}

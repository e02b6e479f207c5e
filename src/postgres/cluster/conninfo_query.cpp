#include "teamscale/postgres/cluster/conninfo_query.h"

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/cluster/cluster_row.h"
#include "teamscale/postgres/cluster/connection.h"
#include "teamscale/postgres/cluster/node_secret.h"
#include "teamscale/postgres/cluster/remote.h"

extern "C" {
#include "utils/builtins.h"
}

namespace teamscale {

namespace {

// The other server's log must not see the statement's parameter, whatever it logs.
constexpr char kLogNothing[] =
    "SET log_statement = 'none'; SET log_min_duration_statement = -1; SET log_min_duration_sample "
    "= -1; "
    "SET log_parameter_max_length = 0; SET log_parameter_max_length_on_error = 0; "
    "SET log_min_error_statement = 'panic'";

void SendSecret(const std::string& conninfo, const std::string& role) {
  const bytea* secret = CallPostgres([] { return ReadNodeSecret(); });
  if (!secret)
    throw Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                "this database does not have the cluster's secret");
  constexpr Oid kBytea = 17;
  constexpr Oid kText = 25;
  std::vector<RemoteParameter> parameters = {
      {.type = kBytea,
       .is_null = false,
       .binary = true,
       .value = std::string(VARDATA_ANY(secret), VARSIZE_ANY_EXHDR(secret))},
      {.type = kText, .value = CallPostgres([] { return ReadClusterRow().id; })}};
  Connection connection(conninfo, role, "the database of the new node");
  connection.Execute(kLogNothing);
  connection.Execute("SELECT teamscale_internal.receive_secret($1, $2)", parameters, false);
}

void HintAtConninfo(ErrorData* error) {
  if (error->hint || error->sqlerrcode != ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION)
    return;
  error->hint = CallPostgres([] {
    return pstrdup(
        "Every node must reach it under this connection string, as every role that uses the "
        "cluster: see to the string, and to pg_hba.conf of its server.");
  });
}

}  // namespace

std::optional<std::string> QueryConninfo(const std::string& conninfo, const std::string& role,
                                         const std::string& sql) {
  try {
    Connection connection(conninfo, role, "the database at \"" + conninfo + "\"");
    ResultPointer result = connection.Execute(sql);
    if (!result || PQntuples(result.get()) == 0 || PQgetisnull(result.get(), 0, 0))
      return std::nullopt;
    return PQgetvalue(result.get(), 0, 0);
  } catch (const RemoteError& error) {
    HintAtConninfo(error.data());
    throw;
  }
}

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_query_conninfo) {
  const char* conninfo = text_to_cstring(PG_GETARG_TEXT_PP(0));
  const char* role = NameStr(*PG_GETARG_NAME(1));
  const char* sql = text_to_cstring(PG_GETARG_TEXT_PP(2));
  const char* answer = teamscale::EnterFromPostgres([=]() -> const char* {
    std::optional<std::string> value = teamscale::QueryConninfo(conninfo, role, sql);
    if (!value) return nullptr;
    const char* text = value->c_str();
    return teamscale::CallPostgres([text] { return static_cast<const char*>(pstrdup(text)); });
  });
  if (!answer) PG_RETURN_NULL();
  PG_RETURN_TEXT_P(cstring_to_text(answer));
}

TEAMSCALE_SQL_FUNCTION(teamscale_send_secret) {
  const char* conninfo = text_to_cstring(PG_GETARG_TEXT_PP(0));
  const char* role = NameStr(*PG_GETARG_NAME(1));
  return teamscale::EnterFromPostgres([=] {
    teamscale::SendSecret(conninfo, role);
    return Datum{0};
  });
}

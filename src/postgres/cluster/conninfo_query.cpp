#include "teamscale/postgres/cluster/conninfo_query.h"

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/sql_function.h"

extern "C" {
#include "utils/builtins.h"
}

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

TEAMSCALE_SQL_FUNCTION(teamscale_send_secret) { PG_RETURN_VOID(); }

#include "teamscale/postgres/cluster/conninfo.h"

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/sql_function.h"

extern "C" {
#include "libpq-fe.h"
#include "utils/builtins.h"
}

namespace teamscale {

namespace {

struct FreeOptions {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};
using Options = std::unique_ptr<PQconninfoOption, FreeOptions>;

// What every connection is made with by teamscale itself, or must not stand in a catalog.
constexpr std::array<std::string_view, 7> kRefused = {
    "user",        "password",         "options",     "client_encoding",
    "replication", "application_name", "sslpassword",
};

Options Parse(const std::string& text) {
  char* message = nullptr;
  Options options(PQconninfoParse(text.c_str(), &message));
  std::string reason = message ? message : "out of memory";
  PQfreemem(message);
  if (!options) {
    while (!reason.empty() && reason.back() == '\n') reason.pop_back();
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "invalid connection string", reason,
                "A connection string looks like 'host=db2 port=5432 dbname=app'.");
  }
  return options;
}

template <typename F>
void ForEachGiven(const Options& options, F&& visit) {
  for (const PQconninfoOption* option = options.get(); option->keyword; ++option)
    if (option->val && *option->val) visit(std::string_view(option->keyword), option->val);
}

}  // namespace

void CheckConninfo(const std::string& text) {
  Options options = Parse(text);
  bool names_database = false;
  ForEachGiven(options, [&](std::string_view keyword, const char*) {
    if (keyword == "dbname" || keyword == "service") names_database = true;
    if (std::find(kRefused.begin(), kRefused.end(), keyword) != kRefused.end())
      throw Error(ERRCODE_INVALID_PARAMETER_VALUE,
                  "connection string of a node must not contain " + std::string(keyword),
                  "Each connection is made as the role whose statement it carries, with that "
                  "session's settings.",
                  "Give passwords by a passfile, a service or certificates.");
  });
  if (!names_database)
    throw Error(ERRCODE_INVALID_PARAMETER_VALUE, "connection string of a node names no database",
                "The connection string is \"" + text + "\".", "Add dbname=... to it.");
}

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_check_conninfo) {
  const char* conninfo = text_to_cstring(PG_GETARG_TEXT_PP(0));
  return teamscale::EnterFromPostgres([conninfo] {
    teamscale::CheckConninfo(conninfo);
    return Datum{0};
  });
}

#include "teamscale/postgres/cluster/taken_settings.h"

#include <utility>
#include <vector>

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/cluster/node_session.h"
#include "teamscale/postgres/cluster/session_settings.h"

extern "C" {
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
}

namespace teamscale {

const char kTakeSettings[] = "SELECT teamscale_internal.take_settings($1)";

namespace {

struct Taken {
  SessionSettings values;
  std::uint64_t version = 0;  // of this session's settings when they were these; 0: none taken
};

Taken& TheTaken() {
  static auto* taken = new Taken;
  return *taken;
}

// As set_config() does; null gives the default.
void Set(const char* name, const char* value) {
  set_config_option(name, value, superuser() ? PGC_SUSET : PGC_USERSET, PGC_S_SESSION,
                    GUC_ACTION_SET, true, 0, false);
}

void Set(const std::string& name, const std::string* value) {
  const char* n = name.c_str();
  const char* v = value ? value->c_str() : nullptr;
  CallPostgres([=] { Set(n, v); });
}

// Guarded dialect. Setting one changes what the present ones are, so all are found first.
void PutBack(const SessionSettings& present) {
  Taken& taken = TheTaken();
  std::vector<std::pair<std::string, const std::string*>> changes;
  for (const auto& [name, value] : present)
    if (!taken.values.contains(name)) changes.emplace_back(name, nullptr);
  for (const auto& [name, value] : taken.values) {
    auto now = present.find(name);
    if (now == present.end() || now->second != value) changes.emplace_back(name, &value);
  }
  for (const auto& [name, value] : changes) Set(name, value);
  taken.version = CurrentSessionSettings().version;
}

// The session was opened as the role that it has to be.
void RestoreRole() {
  if (GetSessionUserId() != GetAuthenticatedUserId()) Set("session_authorization", nullptr);
  if (OidIsValid(GetCurrentRoleId())) Set("role", "none");
}

// Deferred triggers have run by then.
void OnTransactionEnd(XactEvent event, void*) {
  if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE) RestoreTakenSettings();
}

}  // namespace

void InitTakenSettings() { RegisterXactCallback(OnTransactionEnd, nullptr); }

void RestoreTakenSettings() {
  if (!InNodeSession() || TheTaken().version == 0) return;
  RestoreRole();
  EnterFromPostgres([] {
    CurrentSettings now = CurrentSessionSettings();
    if (now.version != TheTaken().version) PutBack(now.values);
  });
}

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_take_settings) {
  using namespace teamscale;
  RequireRouterStatement(kTakeSettings);
  Datum* elements;
  bool* nulls;
  int count;
  deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls,
                    &count);
  for (int i = 0; i + 1 < count; i += 2)
    Set(TextDatumGetCString(elements[i]),
        nulls[i + 1] ? nullptr : TextDatumGetCString(elements[i + 1]));
  EnterFromPostgres([] {
    CurrentSettings now = CurrentSessionSettings();
    TheTaken() = {now.values, now.version};
  });
  PG_RETURN_VOID();
}

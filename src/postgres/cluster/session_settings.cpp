#include "teamscale/postgres/cluster/session_settings.h"

#include <array>

#include "teamscale/postgres/boundary/guard.h"

extern "C" {
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
}

namespace teamscale {

namespace {

// Formats and meanings of values, name resolution, and what triggers and row security look at.
constexpr std::array kTravelling = {
    "search_path",
    "TimeZone",
    "timezone_abbreviations",
    "DateStyle",
    "IntervalStyle",
    "bytea_output",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "lc_messages",
    "array_nulls",
    "xmloption",
    "xmlbinary",
    "default_text_search_config",
    "transform_null_equals",
    "row_security",
    "session_replication_role",
    "check_function_bodies",
    "default_tablespace",
    "default_table_access_method",
    "default_toast_compression",
    "synchronous_commit",
    "lock_timeout",
    "statement_timeout",
};

bool IsSuperuserSetting(std::string_view name) { return name == "session_replication_role"; }

// Values that a query's text carries are written with these, whatever the session says.
constexpr std::array<std::pair<const char*, const char*>, 4> kFixed = {{
    {"extra_float_digits", "3"},
    {"standard_conforming_strings", "on"},
    {"idle_in_transaction_session_timeout", "0"},
    {"idle_session_timeout", "0"},
}};

// A placeholder made by SET app.tenant = ..., which policies and defaults may read.
bool IsCustom(const config_generic* setting) {
  return (setting->flags & GUC_CUSTOM_PLACEHOLDER) && setting->vartype == PGC_STRING &&
         setting->source >= PGC_S_SESSION;
}

const char* CustomValue(const config_generic* setting) {
  const char* value = *reinterpret_cast<const config_string*>(setting)->variable;
  return value ? value : "";
}

// Plain dialect.
char* SetCommand(const char* name, const char* value) {
  // As a list where the setting is one: set_config takes the text as SHOW gives it.
  return psprintf("SELECT pg_catalog.set_config(%s, %s, false);", quote_literal_cstr(name),
                  quote_literal_cstr(value));
}

}  // namespace

SessionSettings CurrentSessionSettings() {
  SessionSettings settings;
  for (const char* name : kTravelling) {
    const char* value = CallPostgres([name] { return GetConfigOption(name, false, false); });
    // Only a superuser may set it: an ordinary user's is the default anyway.
    if (IsSuperuserSetting(name) && std::string_view(value) == "origin") continue;
    settings.emplace(name, value);
  }
  for (auto [name, value] : kFixed) settings.emplace(name, value);
  config_generic** all = get_guc_variables();
  for (int i = 0, count = GetNumConfigOptions(); i < count; ++i)
    if (IsCustom(all[i])) settings.emplace(all[i]->name, CustomValue(all[i]));
  return settings;
}

std::string SettingsCommands(const SessionSettings& from, const SessionSettings& to) {
  std::string commands;
  for (const auto& [name, value] : to) {
    auto known = from.find(name);
    if (known != from.end() && known->second == value) continue;
    const char* n = name.c_str();
    const char* v = value.c_str();
    commands += CallPostgres([=] { return SetCommand(n, v); });
  }
  for (const auto& [name, value] : from) {
    if (to.contains(name)) continue;
    const char* n = name.c_str();
    commands += CallPostgres([=] { return psprintf("RESET %s;", quote_identifier(n)); });
  }
  return commands;
}

}  // namespace teamscale

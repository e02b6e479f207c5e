#include "teamscale/postgres/cluster/session_settings.h"

#include <algorithm>
#include <array>
#include <variant>
#include <vector>

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
    "extra_float_digits",
    "quote_all_identifiers",
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
    "client_min_messages",
    "check_function_bodies",
    "default_tablespace",
    "default_table_access_method",
    "default_toast_compression",
    "synchronous_commit",
    "lock_timeout",
    "statement_timeout",
};

// The first is how a query's text is written; a router's session waits as long as it must.
constexpr std::array<std::pair<const char*, const char*>, 3> kFixed = {{
    {"standard_conforming_strings", "on"},
    {"idle_in_transaction_session_timeout", "0"},
    {"idle_session_timeout", "0"},
}};

// Only a superuser may set this. An ordinary user's is what the server was started with, and all
// it changes is the language of messages.
bool IsLanguageOfMessages(const std::string& name) { return name == "lc_messages"; }

// A superuser's too, but it changes what a statement does; the default is only sent to come back to
// it.
bool StaysDefaultReplicationRole(const std::string& name, const std::string& from,
                                 const std::string& to) {
  return name == "session_replication_role" && to == "origin" && (from.empty() || from == to);
}

// SET app.tenant = ..., which policies and defaults may read, or a setting of another extension.
// teamscale's own are about this session.
bool IsCustom(const config_generic* setting) {
  if (setting->context != PGC_USERSET && setting->context != PGC_SUSET) return false;
  return strchr(setting->name, '.') && pg_strncasecmp(setting->name, "teamscale.", 10) != 0;
}

// A value as its variable holds it: cheap to compare.
using RawValue = std::variant<int, double, std::string>;

bool Differs(const config_generic* setting, const RawValue& known) {
  switch (setting->vartype) {
    case PGC_BOOL:
      return int{*reinterpret_cast<const config_bool*>(setting)->variable} != std::get<int>(known);
    case PGC_INT:
      return *reinterpret_cast<const config_int*>(setting)->variable != std::get<int>(known);
    case PGC_ENUM:
      return *reinterpret_cast<const config_enum*>(setting)->variable != std::get<int>(known);
    case PGC_REAL:
      return *reinterpret_cast<const config_real*>(setting)->variable != std::get<double>(known);
    case PGC_STRING: {
      const char* value = *reinterpret_cast<const config_string*>(setting)->variable;
      return std::get<std::string>(known) != (value ? value : "");
    }
  }
  return true;
}

RawValue Read(const config_generic* setting) {
  switch (setting->vartype) {
    case PGC_BOOL:
      return int{*reinterpret_cast<const config_bool*>(setting)->variable};
    case PGC_INT:
      return *reinterpret_cast<const config_int*>(setting)->variable;
    case PGC_ENUM:
      return *reinterpret_cast<const config_enum*>(setting)->variable;
    case PGC_REAL:
      return *reinterpret_cast<const config_real*>(setting)->variable;
    case PGC_STRING:
      break;
  }
  const char* value = *reinterpret_cast<const config_string*>(setting)->variable;
  return std::string(value ? value : "");
}

struct Tracked {
  int index;  // among all settings; a definition that replaces a placeholder takes its place
  std::string name;
  bool custom;
  bool set;  // a custom one: in this session
  RawValue raw;
};

class Tracker {
 public:
  CurrentSettings Now() {
    if (int count = GetNumConfigOptions(); count != count_) {
      Find(count);
      Rebuild();
    } else if (HasChanged()) {
      Rebuild();
    }
    return {values_, version_};
  }

 private:
  void Find(int count) {
    tracked_.clear();
    config_generic** all = get_guc_variables();
    for (int i = 0; i < count; ++i) {
      bool custom = IsCustom(all[i]);
      auto is_this = [&](const char* name) { return pg_strcasecmp(name, all[i]->name) == 0; };
      if (custom || std::any_of(kTravelling.begin(), kTravelling.end(), is_this))
        tracked_.push_back({i, all[i]->name, custom, false, 0});
    }
    count_ = count;
  }

  bool HasChanged() const {
    config_generic** all = get_guc_variables();
    return std::any_of(tracked_.begin(), tracked_.end(), [all](const Tracked& tracked) {
      const config_generic* setting = all[tracked.index];
      if (tracked.custom && IsSet(setting) != tracked.set) return true;
      return (!tracked.custom || tracked.set) && Differs(setting, tracked.raw);
    });
  }

  static bool IsSet(const config_generic* setting) {
    return IsCustom(setting) && setting->source >= PGC_S_SESSION;
  }

  void Rebuild() {
    values_.clear();
    for (auto [name, value] : kFixed) values_.emplace(name, value);
    config_generic** all = get_guc_variables();
    for (Tracked& tracked : tracked_) {
      const config_generic* setting = all[tracked.index];
      tracked.set = !tracked.custom || IsSet(setting);
      if (!tracked.set) continue;
      tracked.raw = Read(setting);
      const char* name = tracked.name.c_str();
      const char* value = CallPostgres([name] { return GetConfigOption(name, true, false); });
      values_.emplace(tracked.name, value ? value : "");
    }
    ++version_;
  }

  int count_ = -1;
  std::vector<Tracked> tracked_;
  SessionSettings values_;
  std::uint64_t version_ = 0;
};

// Adds an element to the text of an array.
void Add(std::string* array, const std::string* value) {
  *array += array->empty() ? "{" : ",";
  if (!value) {
    *array += "NULL";
    return;
  }
  *array += '"';
  for (char c : *value) {
    if (c == '"' || c == '\\') *array += '\\';
    *array += c;
  }
  *array += '"';
}

}  // namespace

CurrentSettings CurrentSessionSettings() {
  static auto* tracker = new Tracker;
  return tracker->Now();
}

std::string SettingsChange(const SessionSettings& from, bool certain, const SessionSettings& to,
                           bool by_superuser) {
  std::string change;
  for (const auto& [name, value] : to) {
    auto known = from.find(name);
    bool is_known = known != from.end();
    if (certain && is_known && known->second == value) continue;
    if (StaysDefaultReplicationRole(name, is_known ? known->second : "", value)) continue;
    if (!by_superuser && IsLanguageOfMessages(name)) continue;
    Add(&change, &name);
    Add(&change, &value);
  }
  for (const auto& [name, value] : from) {
    if (to.contains(name)) continue;
    Add(&change, &name);
    Add(&change, nullptr);
  }
  return change.empty() ? change : change + "}";
}

}  // namespace teamscale

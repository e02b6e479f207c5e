// Which settings of this session travel to other nodes, so that a statement means there what it
// means here. Guarded dialect.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace teamscale {

// Names and values, in the order of the names.
using SessionSettings = std::map<std::string, std::string>;

// This session's settings as of now. Asked before each statement, so it only compares when nothing
// has changed: the version is then the same as before. Hooks of SET would not do: set_config(), the
// SET clauses of functions and the end of a transaction pass them by.
struct CurrentSettings {
  const SessionSettings& values;
  std::uint64_t version;  // never 0
};
CurrentSettings CurrentSessionSettings();

// What takes a session from one state to another, as the text of an array of names and values in
// turn (null: the setting's default); empty when there is nothing to do. Unless certain, from only
// says which settings may be there, with any value.
std::string SettingsChange(const SessionSettings& from, bool certain, const SessionSettings& to,
                           bool by_superuser);

}  // namespace teamscale

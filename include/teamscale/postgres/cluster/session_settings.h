// Which settings of this session travel to other nodes, so that a statement means there what it
// means here. Guarded dialect.
#pragma once

#include <map>
#include <string>

namespace teamscale {

// Names and values, in the order of the names.
using SessionSettings = std::map<std::string, std::string>;

// This session's settings as of now.
SessionSettings CurrentSessionSettings();

// The SET commands that take a session from one state to another; empty when there is nothing to
// do. A custom setting that is gone is reset.
std::string SettingsCommands(const SessionSettings& from, const SessionSettings& to);

}  // namespace teamscale

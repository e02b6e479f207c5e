// One statement on a database that need not be a node: for the checks that come before it is one.
// Guarded dialect.
#pragma once

#include <optional>
#include <string>

namespace teamscale {

// Connects to conninfo as the role, runs the statement in a transaction of its own and closes.
// Gives the first column of the first row in text form, or nothing when there is no row or it is
// null. Waits no longer than teamscale.connect_timeout and teamscale.statement_deadline allow.
std::optional<std::string> QueryConninfo(const std::string& conninfo, const std::string& role,
                                         const std::string& sql);

}  // namespace teamscale

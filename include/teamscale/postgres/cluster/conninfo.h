// Connection strings of nodes. Guarded dialect.
#pragma once

#include <string>

namespace teamscale {

// Throws 22023 unless text is a libpq connection string for a node: it names a database (itself or
// through a service), and no user, password or options, which would be visible in the catalog or
// override what connections are made with.
void CheckConninfo(const std::string& text);

}  // namespace teamscale

// Connection strings of nodes. Guarded dialect.
#pragma once

#include <string>

namespace teamscale {

// Throws 22023 unless text is a libpq connection string for a node: it names a database (itself or
// through a service), and no user, password or options, which would be visible in the catalog or
// override what connections are made with.
void CheckConninfo(const std::string& text);

// What an application needs to connect by itself; a part that the string leaves to libpq's defaults
// is empty.
struct Endpoint {
  std::string host;
  std::string port;
  std::string dbname;
};
Endpoint EndpointOf(const std::string& conninfo);

}  // namespace teamscale

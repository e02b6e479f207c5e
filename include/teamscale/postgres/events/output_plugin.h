// The output plugin "teamscale": change events out of the log.
#pragma once

#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

// Whether the server may load our plugin. Later releases of PostgreSQL 15 want it named in
// output_plugin_libraries: raises 55000 with a HINT when it is not. Plain dialect.
void RequireTrustedPlugin();

}  // namespace teamscale

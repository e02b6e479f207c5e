// Remote SQL as EXPLAIN shows it. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

// The statement on one line: line breaks outside of quotes are the deparser's.
char* OnOneLine(const char* sql);

}  // namespace teamscale

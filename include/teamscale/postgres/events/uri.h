// Names in URIs. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

// Every byte that is not a letter, a digit, or one of -._~ becomes %XX. Ends with a zero byte, in
// the current memory context.
std::string_view PercentEncode(std::string_view name);

}  // namespace teamscale

// The functions that write and read the text form of values. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

// Of the type's output function, to be called under lossless settings. XML goes as the text that is
// stored: its own functions drop the declaration, and parse by xmloption, which may have changed.
Oid TextOutputFunction(Oid type);
Oid TextInputFunction(Oid type, Oid* input_parameter);

}  // namespace teamscale

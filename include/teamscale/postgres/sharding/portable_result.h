// Makes every column of a statement's result travel in binary form. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "nodes/parsenodes.h"
}

namespace teamscale {

// libpq asks for one format for a whole result. So columns whose binary form is not portable (see
// wire.h) are turned into their text form by the statement itself, and the rest need not be text.
// Gives the query, changed, or a new one around it. Raises 0A000 for results that cannot travel.
Query* MakeResultPortable(Query* query);

}  // namespace teamscale

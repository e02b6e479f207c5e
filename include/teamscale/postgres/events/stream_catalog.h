// What the catalog knows of event streams. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "nodes/pg_list.h"
}

namespace teamscale {

// The options that a stream was made with, as a list of DefElem in the current memory context.
// Raises 42704 when there is no such stream. In a transaction of its own when there is none.
List* ReadStreamOptions(const char* name);

// The secret by which messages that teamscale itself wrote into the log are known from others'; in
// the current memory context, or null when this database does not have the extension. In a
// transaction of its own when there is none.
const char* ReadMessageSecret();

}  // namespace teamscale

// DROP EXTENSION is refused while this database has replication slots of event streams: they would
// stay, hold back the log, and nothing would know them any more. Plain dialect.
#pragma once

namespace teamscale {

// Called once by _PG_init.
void InitStreamGuard();

}  // namespace teamscale

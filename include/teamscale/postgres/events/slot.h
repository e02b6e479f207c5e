// The replication slots of streams. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "access/xlogdefs.h"
#include "access/xlogreader.h"
}

namespace teamscale {

// How logical decoding within a backend reads the log of this server.
extern XLogReaderRoutine local_log;

// Makes a slot for our output plugin and gives the LSN from which on it has every transaction.
// Waits for the transactions that are writing now, each not longer than the timeout. The caller's
// transaction must not have written anything. 55000 where the server cannot decode.
XLogRecPtr CreateStreamSlot(const char* name, int timeout_ms);

}  // namespace teamscale

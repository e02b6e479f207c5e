// Transactions that an earlier decoding failed in: by an error that the next attempt would meet
// again. The next one decodes them carefully, each event in a subtransaction, and writes a poison
// event in the place of one that fails. So no stream stops for good.
//
// Kept in shared memory, as the failure takes its own transaction with it: for each slot the last
// few. A restart forgets them, and the failure happens once more. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "access/xlogdefs.h"
}

namespace teamscale {

// Requests the shared memory when the server is starting. Called once by _PG_init.
void InitCarefulTransactions();

// The slot by its index. Never raises.
void RememberFailure(int slot, XLogRecPtr commit_lsn);
bool FailedBefore(int slot, XLogRecPtr commit_lsn);

// Whether an error would come again: it is about the data, not about the server's state or a
// cancel.
bool WouldComeAgain(int sqlstate);

}  // namespace teamscale

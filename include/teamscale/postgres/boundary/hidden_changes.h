// Changes that teamscale makes on its own account and that are no events: rows that only move.
//
// They carry a replication origin of their own in the log, by which the output plugin leaves them
// out. Such an origin needs no entry in pg_replication_origin, and its progress is not recorded.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "replication/origin.h"
}

namespace teamscale {

constexpr RepOriginId kHiddenChanges = DoNotReplicateId;

// Whether what this session changes from now to the end of its (sub)transaction is hidden; gives
// what held before.
bool HideChanges(bool hidden);

// Registers the callback that ends hiding with the transaction. Called once by _PG_init.
void InitHiddenChanges();

}  // namespace teamscale

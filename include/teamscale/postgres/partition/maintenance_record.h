// What is kept of the maintenance of each table: how runs went, and which partitions have expired
// and are still to be dropped or moved. Plain dialect, within a transaction; the caller has checked
// that the current user owns the table.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "datatype/timestamp.h"
}

namespace teamscale {

// A run begins. What it is to be measured by in later runs: its clock, the newest number keys (as
// jsonb, null for none), and how many ranges were there ahead of now (null when there are none).
void RecordRun(Oid table, TimestampTz clock, const char* newest, const std::int64_t* ahead);
// The run has done all that it could.
void RecordRunEnd(Oid table);

void RecordAction(Oid table);
void RecordFailure(Oid table, const char* action, const ErrorData* error);

// The partition is about to be detached; on_expiry says what is to become of it then.
void RecordExpired(Oid table, Oid partition, const char* on_expiry, const char* move_to);
void ForgetExpired(Oid partition);

}  // namespace teamscale

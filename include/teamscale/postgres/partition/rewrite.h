// Online rewrites: rows of some partitions (sources) move to new ones (targets) of the same keys,
// while everybody reads and writes. Splitting, merging, draining a default partition and moving to
// another tablespace are rewrites.
//
// The targets hang on a staging table of the same partition key, the *destination*, so that
// PostgreSQL itself routes rows to them. A rewrite is a row of the journal, whose *phase* says what
// is to be done next; it can be interrupted anywhere and goes on there:
//
//   building   the targets are made, empty, with all that the sources have
//   mirroring  each source gets a trigger, the *mirror*: what a transaction does to a row of the
//              source, it does to the destination too. So any snapshot sees both alike, in all rows
//              that were written since.
//   copying    the other rows, some blocks at a time, each time a transaction that locks the rows
//              it copies
//   checking   source and destination have the same number of rows in one snapshot
//   waiting    until no snapshot is older than the copy: it would not see the copied rows
//   securing   what makes the swap short: foreign keys, CHECKs, statistics
//   swapping   the targets take the sources' place under a lock; the journal's row goes with it
//
// All of it runs in a session of the table's owner (owner_session.h).
#pragma once

#include "teamscale/postgres/boundary/server.h"
#include "teamscale/postgres/partition/lock_attempts.h"

namespace teamscale {

// Registers the jobs, the settings and the guard. Called once by _PG_init.
void InitRewrite();

// Carries a rewrite to its end. In a session of the table's owner, outside a transaction. 55006
// when another process works on it. Plain dialect.
void RunRewrite(int64 id, LockPatience patience);

// The same, as far as limited patience goes; one that was cancelled is undone.
void ResumeRewrite(int64 id);

}  // namespace teamscale

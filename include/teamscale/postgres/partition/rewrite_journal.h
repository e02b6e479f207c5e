// The journal of rewrites (sql/partition/rewrite_journal.sql). Plain dialect, connected to nothing;
// but for LoadRewrite within a transaction of the owner's session.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "access/transam.h"
#include "nodes/pg_list.h"
#include "storage/block.h"
}

namespace teamscale {

enum class RewritePhase {
  kBuilding,
  kMirroring,
  kCopying,
  kChecking,
  kWaiting,
  kSecuring,
  kSwapping
};

struct Rewrite {
  int64 id;
  Oid table;  // the partitioned table
  const char* operation;
  RewritePhase phase;
  Oid destination;            // invalid before it is built
  bool cancelled;             // it is to be undone
  List* sources;              // OIDs
  List* targets;              // OIDs; invalid ones before they are built
  const char* plan;           // the targets as SQL has them (rewrite_targets()), JSON
  bool makes_default;         // one of them is a default partition
  FullTransactionId horizon;  // what snapshots that know the copy see as running, or later ones;
                              // invalid before it is waited for the older ones
};

// In the current memory context, by a transaction of its own; null when there is none (any more).
Rewrite* LoadRewrite(int64 id);

void EnterPhase(const Rewrite* rewrite, RewritePhase phase);

// From now on no partition of the table may come or go.
void CloseTable(const Rewrite* rewrite);

// The targets and the destination are there.
void RecordTargets(const Rewrite* rewrite, Oid destination, const List* targets);

// Blocks [begin, end) of a source's file.
struct BlockRange {
  BlockNumber begin;
  BlockNumber end;
};

// All rows of the file's blocks are to be copied.
void RecordBlocks(Oid source, Oid file, BlockNumber blocks);
// The file whose blocks are counted; invalid before there is one.
Oid CountedFile(Oid source);
// The first blocks that remain, from one on; false when none do.
bool RemainingBlocks(Oid source, BlockNumber from, BlockRange* range);
// Whether all rows of the blocks are copied now, and how many were.
void RecordCopied(const Rewrite* rewrite, Oid source, BlockRange range, bool complete, int64 rows);

// The processes that keep it waiting (a list of integers), until the next phase.
void RecordWaiting(const Rewrite* rewrite, const List* processes);
void RecordHorizon(const Rewrite* rewrite, FullTransactionId horizon);
// The swap was kept back, by those who use the tables now.
void RecordSwapAttempt(const Rewrite* rewrite);
// Whoever works on it stops at the next phase, and nobody goes on with it.
void CancelRewrite(int64 id);
void ForgetRewrite(int64 id);

// The partitioned table; invalid when the rewrite is no more.
Oid RewrittenTable(int64 id);
// The process that holds the lock of a rewrite (rewrite_lock.h); 0 when none does.
int RewriteWorker(int64 id);

}  // namespace teamscale

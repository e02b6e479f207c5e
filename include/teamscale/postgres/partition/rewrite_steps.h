// The phases of a rewrite. Each does its work in transactions of its own and leaves the journal in
// the next phase. Plain dialect, in a session of the owner, outside a transaction.
#pragma once

#include "teamscale/postgres/partition/rewrite.h"
#include "teamscale/postgres/partition/rewrite_journal.h"

extern "C" {
#include "nodes/pg_list.h"
}

namespace teamscale {

void BuildTargets(const Rewrite* rewrite, LockPatience patience);         // rewrite_build.cpp
void InstallMirrors(const Rewrite* rewrite, LockPatience patience);       // rewrite_build.cpp
void CopyRows(const Rewrite* rewrite, LockPatience patience);             // rewrite_copy.cpp
void CheckCopy(const Rewrite* rewrite);                                   // rewrite_copy.cpp
void WaitForOldSnapshots(const Rewrite* rewrite, LockPatience patience);  // rewrite_wait.cpp
void SecureTargets(const Rewrite* rewrite, LockPatience patience);        // rewrite_swap.cpp
void SwapTargets(const Rewrite* rewrite, LockPatience patience);          // rewrite_swap.cpp

// Takes away what a rewrite made; it must be marked as cancelled. rewrite_undo.cpp
void UndoRewrite(const Rewrite* rewrite, LockPatience patience);

// --- What several phases do

// The result of a function of ours that gives statements, in the current memory context: a list of
// strings. Within a transaction.
List* ReadStatements(const char* query, int count, Oid* types, Datum* values, const char* nulls);
void RunStatements(const List* statements);

Datum SourcesOf(const Rewrite* rewrite);  // oid[]
Datum PlanOf(const Rewrite* rewrite);     // jsonb

// The setting teamscale.rewrite_rate; copying.
void InitRewriteCopy();

}  // namespace teamscale

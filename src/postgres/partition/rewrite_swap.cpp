// Phases securing and swapping.
#include "teamscale/postgres/boundary/wait_point.h"
#include "teamscale/postgres/partition/bound_checks.h"
#include "teamscale/postgres/partition/rewrite_guard.h"
#include "teamscale/postgres/partition/rewrite_steps.h"
#include "teamscale/postgres/worker/owner_session.h"

extern "C" {
#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/predicate_internals.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
}

namespace teamscale {

namespace {

// --- Securing

List* SecuringStatements(const Rewrite* rewrite) {
  Oid types[] = {REGCLASSOID, JSONBOID};
  Datum values[] = {ObjectIdGetDatum(rewrite->table), PlanOf(rewrite)};
  return ReadStatements("SELECT * FROM teamscale_internal.securing_statements($1, $2)", 2, types,
                        values, nullptr);
}

// The table's default partition, unless it is a source.
Oid DefaultThatStays(const Rewrite* rewrite) {
  Oid id = get_default_partition_oid(rewrite->table);
  return list_member_oid(rewrite->sources, id) ? InvalidOid : id;
}

Oid DefaultTarget(const Rewrite* rewrite) {
  return rewrite->makes_default ? get_default_partition_oid(rewrite->destination) : InvalidOid;
}

// Whether a constraint was missing and is there now, to be validated.
bool AddMissingCheck(const Rewrite* rewrite) {
  Oid stays = DefaultThatStays(rewrite), target = DefaultTarget(rewrite);
  if (OidIsValid(stays) && !HasCheck(stays, kFence)) {
    LockRelationOid(stays, AccessExclusiveLock);
    AddFence(rewrite->table, rewrite->targets, stays);
    return true;
  }
  if (OidIsValid(target) && !HasCheck(target, kBoundCheck)) {
    LockRelationOid(target, AccessExclusiveLock);
    AddDefaultCheck(rewrite->table, rewrite->sources, rewrite->destination, target);
    return true;
  }
  return false;
}

// What a default partition holds depends on the others: they neither come nor go from now on. The
// lock waits for those who were about to make or end one.
void CloseForDefault(const Rewrite* rewrite) {
  LockRelationOid(rewrite->table, ShareUpdateExclusiveLock);
  CloseTable(rewrite);
}

// The next thing that is still to be done; false when nothing is.
bool SecureNext(const Rewrite* rewrite) {
  if (AddMissingCheck(rewrite)) return true;
  List* statements = SecuringStatements(rewrite);
  if (statements == NIL) return false;
  ExecuteInOwnerTransaction(static_cast<const char*>(linitial(statements)));
  return true;
}

// --- Swapping

List* SwapStatements(const Rewrite* rewrite) {
  Oid types[] = {REGCLASSOID, OIDARRAYOID, REGCLASSOID, JSONBOID};
  Datum values[] = {ObjectIdGetDatum(rewrite->table), SourcesOf(rewrite),
                    ObjectIdGetDatum(rewrite->destination), PlanOf(rewrite)};
  return ReadStatements("SELECT * FROM teamscale_internal.swap_statements($1, $2, $3, $4)", 4,
                        types, values, nullptr);
}

// Other tables that the swap locks: those that foreign keys reference, and the default partition.
List* OtherTables(const Rewrite* rewrite) {
  List* others = NIL;
  Oid stays = DefaultThatStays(rewrite);
  if (OidIsValid(stays)) others = list_make1_oid(stays);
  ListCell* target;
  foreach (target, rewrite->targets) {
    Relation relation = table_open(lfirst_oid(target), NoLock);
    ListCell* key;
    foreach (key, RelationGetFKeyList(relation))
      others = list_append_unique_oid(others, lfirst_node(ForeignKeyCacheInfo, key)->confrelid);
    table_close(relation, NoLock);
  }
  return others;
}

// The table first: then nobody comes to its partitions by way of it, and all else is had at once
// or not at all.
void LockForSwap(const Rewrite* rewrite) {
  LockRelationOid(rewrite->table, AccessExclusiveLock);
  ShortenLockTimeout();
  ListCell* cell;
  foreach (cell, rewrite->sources) LockRelationOid(lfirst_oid(cell), AccessExclusiveLock);
  LockRelationOid(rewrite->destination, AccessExclusiveLock);
  foreach (cell, rewrite->targets) LockRelationOid(lfirst_oid(cell), AccessExclusiveLock);
  foreach (cell, OtherTables(rewrite)) LockRelationOid(lfirst_oid(cell), AccessExclusiveLock);
}

// --- What may have changed until the lock was there

// A default partition that was made since would have to be looked through under the lock.
bool DefaultIsFenced(const Rewrite* rewrite) {
  Oid stays = DefaultThatStays(rewrite);
  return !OidIsValid(stays) || HasValidCheck(stays, kFence);
}

// What serializable transactions have read of a source is remembered by its identity, until all
// that ran beside them are over. Others' writes to the targets would not be seen to conflict.
bool IsRemembered(const List* relations) {
  const PredicateLockData* locks = GetPredicateLockStatusData();
  for (int i = 0; i < locks->nelements; ++i) {
    const PREDICATELOCKTARGETTAG& tag = locks->locktags[i];
    if (GET_PREDICATELOCKTARGETTAG_DB(tag) == MyDatabaseId &&
        list_member_oid(relations, GET_PREDICATELOCKTARGETTAG_RELATION(tag)))
      return true;
  }
  return false;
}

void RequireNoSerializableReaders(const Rewrite* rewrite) {
  List* relations = NIL;
  ListCell* cell;
  foreach (cell, rewrite->sources) {
    Relation source = table_open(lfirst_oid(cell), NoLock);
    relations = list_concat(lappend_oid(relations, lfirst_oid(cell)), RelationGetIndexList(source));
    table_close(source, NoLock);
  }
  if (IsRemembered(relations))
    ereport(ERROR, (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
                    errmsg("serializable transactions that have read partitions of table \"%s\" "
                           "are not over yet",
                           get_rel_name(rewrite->table))));
}

struct Swap {
  const Rewrite* rewrite;
  bool done;
};

void TrySwap(Swap* swap) {
  const Rewrite* rewrite = swap->rewrite;
  // Computed before the lock: it takes longer than to run them.
  const List* statements = SwapStatements(rewrite);
  LockForSwap(rewrite);
  RequireNoSerializableReaders(rewrite);
  swap->done = DefaultIsFenced(rewrite);
  if (!swap->done) return;
  AsRewrite([=] { RunStatements(statements); });
  ForgetRewrite(rewrite->id);
  TEAMSCALE_WAIT_POINT("rewrite swapping");
}

void NoteConflict(const Rewrite* rewrite) {
  MemoryContext context = CurrentMemoryContext;
  BeginOwnerTransaction();
  RecordSwapAttempt(rewrite);
  CommitOwnerTransaction();
  MemoryContextSwitchTo(context);
}

}  // namespace

void SecureTargets(const Rewrite* rewrite, LockPatience patience) {
  TEAMSCALE_WAIT_POINT("rewrite waited");
  if (rewrite->makes_default) RunWithLockAttempts([=] { CloseForDefault(rewrite); }, patience);
  for (bool more = true; more;) {
    RunWithLockAttempts([&] { AsRewrite([&] { more = SecureNext(rewrite); }); }, patience);
    TEAMSCALE_WAIT_POINT("rewrite secured a target");
  }
  RunWithLockAttempts([=] { EnterPhase(rewrite, RewritePhase::kSwapping); }, patience);
}

void SwapTargets(const Rewrite* rewrite, LockPatience patience) {
  TEAMSCALE_WAIT_POINT("rewrite secured");
  Swap swap{.rewrite = rewrite, .done = false};
  RepeatLockAttempt(
      LockAttempt{.body = [](void* s) { TrySwap(static_cast<Swap*>(s)); },
                  .after_conflict = [](void* s) { NoteConflict(static_cast<Swap*>(s)->rewrite); },
                  .argument = &swap},
      patience);
  if (!swap.done)
    RunWithLockAttempts([=] { EnterPhase(rewrite, RewritePhase::kSecuring); }, patience);
}

}  // namespace teamscale

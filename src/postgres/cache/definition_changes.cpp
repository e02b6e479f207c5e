#include "teamscale/postgres/cache/definition_changes.h"

#include "teamscale/postgres/boundary/wait_point.h"
#include "teamscale/postgres/cache/guard_removal.h"
#include "teamscale/postgres/cache/shared_cache.h"

extern "C" {
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/objectaccess.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "miscadmin.h"
#include "replication/logicalworker.h"
#include "storage/lmgr.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

// The relations whose definition this transaction may have changed: those for which it got an
// invalidation since its first command that changes definitions. Some may be another transaction's:
// raising the floor once too often does no harm.
constexpr int kRoom = 256;
struct Changes {
  bool watching;
  bool cached;  // a cached table is among them
  bool all;     // too many, or an invalidation of everything
  int count;
  Oid relation[kRoom];
};
Changes changes;
int command_depth = 0;

bool IsWatching() { return changes.watching || command_depth > 0 || IsLogicalWorker(); }

void OnRelation(Datum, Oid relation) {
  if (!IsWatching()) return;
  if (OidIsValid(relation) && relation < FirstNormalObjectId) return;
  changes.cached = changes.cached || ConcernsCaches(relation);
  for (int i = 0; i < changes.count; ++i)
    if (changes.relation[i] == relation) return;
  if (!OidIsValid(relation) || changes.count == kRoom)
    changes.all = true;
  else
    changes.relation[changes.count++] = relation;
}

// The definition lock is of the table, not of one cache. It conflicts with ShareLock, in which it
// is asked for by those who install, and not with itself.
LOCKTAG DefinitionLock(Oid table) {
  LOCKTAG tag;
  SET_LOCKTAG_OBJECT(tag, MyDatabaseId, TriggerRelationId, table, 1);
  return tag;
}
constexpr LOCKMODE kChanging = RowExclusiveLock;
constexpr LOCKMODE kReading = ShareLock;

bool IsChanged(const Cache* cache) {
  if (changes.all) return true;
  for (int i = 0; i < changes.count; ++i) {
    Oid relation = changes.relation[i];
    if (relation == cache->table || list_member_oid(cache->ancestors, relation)) return true;
    if (get_rel_relispartition(relation) &&
        list_member_oid(get_partition_ancestors(relation), cache->table))
      return true;
  }
  return false;
}

void AnnounceChange(const Cache* cache) {
  LOCKTAG tag = DefinitionLock(cache->table);
  if (!GuardIsRemoved("definition lock")) LockAcquire(&tag, kChanging, false, false);
  // An id of its own, so that the floor is not below it: no snapshot above the floor was taken
  // before this transaction's end.
  GetTopTransactionId();
  if (!GuardIsRemoved("floor")) RaiseFloor(cache->function);
}

void AnnounceChanges() {
  // The last command's invalidations are not carried out yet.
  CommandCounterIncrement();
  if (changes.count == 0 && !changes.all) return;
  Caches all = AllCaches();
  for (int i = 0; i < all.count; ++i)
    if (IsChanged(all.cache[i])) AnnounceChange(all.cache[i]);
  TEAMSCALE_WAIT_POINT("cache definition change announced");
}

// A command that commits in its middle (DETACH ... CONCURRENTLY) goes on watching.
void OnTransactionEvent(XactEvent event, void*) {
  switch (event) {
    case XACT_EVENT_PRE_COMMIT:
    case XACT_EVENT_PRE_PREPARE:
      if (IsWatching() && !RecoveryInProgress()) AnnounceChanges();
      break;
    case XACT_EVENT_COMMIT:
      // Others see the change already, and have not been told of it yet.
      if (changes.cached) TEAMSCALE_WAIT_POINT("cache definition change visible");
      changes = Changes{};
      break;
    case XACT_EVENT_PREPARE:
      changes = Changes{};
      break;
    case XACT_EVENT_ABORT:
      changes = Changes{};
      command_depth = 0;
      break;
    default:
      break;
  }
}

}  // namespace

void InitDefinitionChanges() {
  CacheRegisterRelcacheCallback(OnRelation, Datum{0});
  RegisterXactCallback(OnTransactionEvent, nullptr);
}

bool DefinitionIsSettled(const Cache* cache) {
  LOCKTAG tag = DefinitionLock(cache->table);
  if (LockAcquire(&tag, kReading, false, true) == LOCKACQUIRE_NOT_AVAIL) return false;
  AcceptInvalidationMessages();
  LockRelease(&tag, kReading, false);
  return true;
}

bool HasChangedDefinition() { return changes.cached; }

void EnterDefinitionCommand() {
  // What is known of caches tells later which invalidations concern them.
  if (IsTransactionState()) AllCaches();
  changes.watching = true;
  ++command_depth;
}

void LeaveDefinitionCommand() {
  if (command_depth > 0) --command_depth;
}

}  // namespace teamscale

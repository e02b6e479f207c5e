#include "teamscale/postgres/events/stream_guard.h"

#include <cstring>

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "replication/slot.h"
#include "storage/lwlock.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

object_access_hook_type previous_object_access = nullptr;

bool IsStreamCatalog(Oid relation) {
  const char* name = get_rel_name(relation);
  if (!name || strcmp(name, "event_stream") != 0) return false;
  Oid schema = get_namespace_oid("teamscale_internal", true);
  return OidIsValid(schema) && get_rel_namespace(relation) == schema &&
         get_rel_relkind(relation) == RELKIND_RELATION;
}

// The name of a slot of this database that decodes by our plugin, or null when there is none.
const char* AnySlot() {
  const char* name = nullptr;
  LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
  for (int i = 0; i < max_replication_slots && !name; ++i) {
    ReplicationSlot* slot = &ReplicationSlotCtl->replication_slots[i];
    if (slot->in_use && slot->data.database == MyDatabaseId &&
        strcmp(NameStr(slot->data.plugin), "teamscale") == 0)
      name = pstrdup(NameStr(slot->data.name));
  }
  LWLockRelease(ReplicationSlotControlLock);
  return name;
}

void ObjectAccess(ObjectAccessType access, Oid catalog, Oid object, int sub_object,
                  void* argument) {
  if (previous_object_access) previous_object_access(access, catalog, object, sub_object, argument);
  if (access != OAT_DROP || catalog != RelationRelationId || sub_object != 0) return;
  if (!IsStreamCatalog(object)) return;
  if (const char* slot = AnySlot())
    ereport(ERROR, (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
                    errmsg("extension \"teamscale\" cannot be dropped while event streams have "
                           "replication slots"),
                    errdetail("Slot \"%s\" would go on holding back the log.", slot),
                    errhint("Call teamscale.drop_event_stream() for each stream; the maintenance "
                            "worker drops the slots a moment later.")));
}

}  // namespace

void InitStreamGuard() {
  previous_object_access = object_access_hook;
  object_access_hook = ObjectAccess;
}

}  // namespace teamscale

// Plain dialect.
#include "teamscale/postgres/partition/rewrite_guard.h"

#include "teamscale/postgres/boundary/relation_part.h"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "commands/extension.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
}

namespace teamscale {

namespace {

bool own_ddl = false;
object_access_hook_type previous_object_access = nullptr;
ProcessUtility_hook_type previous_utility = nullptr;

// The columns of teamscale_internal.rewrite_relation.
constexpr AttrNumber kRelation = 1;
constexpr AttrNumber kIsCopy = 3;

enum class Role { kNone, kOriginal, kCopy };

Role ReadRole(Oid journal, Oid index, Oid relation) {
  Relation table = table_open(journal, AccessShareLock);
  ScanKeyData key;
  ScanKeyInit(&key, kRelation, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relation));
  SysScanDesc scan = systable_beginscan(table, index, true, nullptr, 1, &key);
  Role role = Role::kNone;
  if (HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple)) {
    bool is_null;
    Datum is_copy = heap_getattr(tuple, kIsCopy, RelationGetDescr(table), &is_null);
    role = DatumGetBool(is_copy) ? Role::kCopy : Role::kOriginal;
  }
  systable_endscan(scan);
  table_close(table, AccessShareLock);
  return role;
}

// What a relation is to an unfinished rewrite.
Role RoleOf(Oid relation) {
  if (relation < FirstNormalObjectId) return Role::kNone;
  Oid schema = get_namespace_oid("teamscale_internal", true);
  if (!OidIsValid(schema)) return Role::kNone;
  Oid journal = get_relname_relid("rewrite_relation", schema);
  Oid index = get_relname_relid("rewrite_relation_pkey", schema);
  if (!OidIsValid(journal) || !OidIsValid(index)) return Role::kNone;
  return ReadRole(journal, index, relation);
}

void CheckRelation(Oid relation) {
  if (RoleOf(relation) == Role::kNone) return;
  ereport(
      ERROR,
      (errcode(ERRCODE_OBJECT_IN_USE),
       errmsg("\"%s\" cannot be changed while its partitions are rewritten",
              get_rel_name(relation)),
       errhint("teamscale.stat_rewrite shows how far that is. Wait for its end, or undo it with "
               "CALL teamscale.cancel_rewrite().")));
}

bool IsOfInterest(ObjectAccessType access, const void* argument) {
  switch (access) {
    case OAT_DROP:
    case OAT_POST_CREATE:
    case OAT_TRUNCATE:
      return true;
    case OAT_POST_ALTER:
      return !argument || !static_cast<const ObjectAccessPostAlter*>(argument)->is_internal;
    default:
      return false;
  }
}

// The mirror alone truncates the copy; a source may be truncated by anybody who may.
void CheckTruncate(Oid relation) {
  if (RoleOf(relation) == Role::kCopy) CheckRelation(relation);
}

void CheckAccess(ObjectAccessType access, Oid catalog, Oid object) {
  if (access == OAT_TRUNCATE) {
    CheckTruncate(object);
    return;
  }
  RelationPart part;
  if (FindRelationPart(catalog, object, &part)) {
    CheckRelation(part.relation);
    CheckRelation(part.referenced);
  } else if (catalog == RelationRelationId) {
    CheckRelation(object);
  }
}

void ObjectAccess(ObjectAccessType access, Oid catalog, Oid object, int sub_object,
                  void* argument) {
  if (previous_object_access) previous_object_access(access, catalog, object, sub_object, argument);
  if (own_ddl || creating_extension || object < FirstNormalObjectId || !IsTransactionState() ||
      !IsOfInterest(access, argument))
    return;
  CheckAccess(access, catalog, object);
}

void CheckDetach(const AlterTableStmt* statement) {
  ListCell* cell;
  foreach (cell, statement->cmds) {
    const auto* command = lfirst_node(AlterTableCmd, cell);
    if (command->subtype != AT_DetachPartition && command->subtype != AT_DetachPartitionFinalize)
      continue;
    const RangeVar* name = castNode(PartitionCmd, command->def)->name;
    CheckRelation(RangeVarGetRelid(name, NoLock, true));
  }
}

void Utility(PlannedStmt* statement, const char* query, bool read_only_tree,
             ProcessUtilityContext context, ParamListInfo parameters, QueryEnvironment* environment,
             DestReceiver* destination, QueryCompletion* completion) {
  if (!own_ddl && IsTransactionState() && IsA(statement->utilityStmt, AlterTableStmt))
    CheckDetach(reinterpret_cast<const AlterTableStmt*>(statement->utilityStmt));
  auto next = previous_utility ? previous_utility : standard_ProcessUtility;
  next(statement, query, read_only_tree, context, parameters, environment, destination, completion);
}

}  // namespace

void InitRewriteGuard() {
  previous_object_access = object_access_hook;
  object_access_hook = ObjectAccess;
  previous_utility = ProcessUtility_hook;
  ProcessUtility_hook = Utility;
}

bool EnterRewriteDdl() {
  bool previous = own_ddl;
  own_ddl = true;
  return previous;
}

void LeaveRewriteDdl(bool previous) { own_ddl = previous; }

}  // namespace teamscale

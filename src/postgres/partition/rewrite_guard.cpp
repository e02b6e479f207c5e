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
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/acl.h"
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
constexpr AttrNumber kIsClosed = 4;

// What a relation is to an unfinished rewrite.
struct Role {
  bool concerned;
  bool is_copy;
  bool is_closed;
};

bool ReadFlag(HeapTuple tuple, Relation table, AttrNumber column) {
  bool is_null;
  return DatumGetBool(heap_getattr(tuple, column, RelationGetDescr(table), &is_null));
}

Role ReadRole(Oid journal, Oid index, Oid relation) {
  Relation table = table_open(journal, AccessShareLock);
  ScanKeyData key;
  ScanKeyInit(&key, kRelation, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relation));
  SysScanDesc scan = systable_beginscan(table, index, true, nullptr, 1, &key);
  Role role{};
  if (HeapTuple tuple = systable_getnext(scan); HeapTupleIsValid(tuple))
    role = {true, ReadFlag(tuple, table, kIsCopy), ReadFlag(tuple, table, kIsClosed)};
  systable_endscan(scan);
  table_close(table, AccessShareLock);
  return role;
}

Role RoleOf(Oid relation) {
  if (relation < FirstNormalObjectId) return {};
  Oid schema = get_namespace_oid("teamscale_internal", true);
  if (!OidIsValid(schema)) return {};
  Oid journal = get_relname_relid("rewrite_relation", schema);
  Oid index = get_relname_relid("rewrite_relation_pkey", schema);
  if (!OidIsValid(journal) || !OidIsValid(index)) return {};
  return ReadRole(journal, index, relation);
}

[[noreturn]] void Refuse(Oid relation) {
  ereport(
      ERROR,
      (errcode(ERRCODE_OBJECT_IN_USE),
       errmsg("\"%s\" cannot be changed while its partitions are rewritten",
              get_rel_name(relation)),
       errhint("teamscale.stat_rewrite shows how far that is. Wait for its end, or undo it with "
               "CALL teamscale.cancel_rewrite().")));
  pg_unreachable();
}

void CheckRelation(Oid relation) {
  if (RoleOf(relation).concerned) Refuse(relation);
}

// The mirror alone truncates the copy; a source may be truncated by anybody who may.
void CheckTruncate(Oid relation) {
  if (RoleOf(relation).is_copy) Refuse(relation);
}

// A partition is gone: its table may need it.
void CheckDrop(Oid relation) {
  if (!get_rel_relispartition(relation)) return;
  Oid parent = get_partition_parent(relation, true);
  if (RoleOf(parent).is_closed) Refuse(parent);
}

void CheckAccess(ObjectAccessType access, Oid catalog, Oid object, int sub_object) {
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
    if (access == OAT_DROP && sub_object == 0) CheckDrop(object);
  }
}

void ObjectAccess(ObjectAccessType access, Oid catalog, Oid object, int sub_object,
                  void* argument) {
  if (previous_object_access) previous_object_access(access, catalog, object, sub_object, argument);
  if (own_ddl || creating_extension || object < FirstNormalObjectId || !IsTransactionState() ||
      !ChangesDefinition(access, argument))
    return;
  CheckAccess(access, catalog, object, sub_object);
}

// A partition is about to be made, attached or detached. Under the lock that this takes too, so
// that nobody closes the table in between.
void CheckPartitions(const RangeVar* name) {
  Oid table = RangeVarGetRelid(name, NoLock, true);
  if (!RoleOf(table).concerned || !pg_class_ownercheck(table, GetUserId())) return;
  LockRelationOid(table, ShareUpdateExclusiveLock);
  Role role = RoleOf(table);
  if (role.is_closed || role.is_copy) Refuse(table);
}

void CheckAlterTable(const AlterTableStmt* statement) {
  ListCell* cell;
  foreach (cell, statement->cmds) {
    const auto* command = lfirst_node(AlterTableCmd, cell);
    switch (command->subtype) {
      case AT_DetachPartition:
      case AT_DetachPartitionFinalize:
        CheckRelation(RangeVarGetRelid(castNode(PartitionCmd, command->def)->name, NoLock, true));
        CheckPartitions(statement->relation);
        break;
      case AT_AttachPartition:
        CheckPartitions(statement->relation);
        break;
      default:
        break;
    }
  }
}

void CheckCommand(const Node* command) {
  if (IsA(command, AlterTableStmt)) {
    CheckAlterTable(reinterpret_cast<const AlterTableStmt*>(command));
  } else if (IsA(command, CreateStmt)) {
    const auto* statement = reinterpret_cast<const CreateStmt*>(command);
    if (statement->partbound) CheckPartitions(linitial_node(RangeVar, statement->inhRelations));
  }
}

void Utility(PlannedStmt* statement, const char* query, bool read_only_tree,
             ProcessUtilityContext context, ParamListInfo parameters, QueryEnvironment* environment,
             DestReceiver* destination, QueryCompletion* completion) {
  if (!own_ddl && IsTransactionState()) CheckCommand(statement->utilityStmt);
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

#include "teamscale/postgres/sharding/ddl_guard.h"

#include <utility>

#include "teamscale/postgres/boundary/relation_part.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/node_session.h"
#include "teamscale/postgres/sharding/catalog_guard.h"

extern "C" {
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/objectaccess.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

// How many commands are running within each other.
int command_depth = 0;
constexpr DdlRight kNoRight = {-1, false};
DdlRight granted = kNoRight;
object_access_hook_type previous_object_access = nullptr;

void OnTransactionEnd(XactEvent event, void*) {
  if (event != XACT_EVENT_ABORT) return;
  command_depth = 0;
  granted = kNoRight;
}

// Columns, and what hangs on a leaf, count as changes of the sharded table itself.
void CheckPartOfRelation(Oid relation) {
  if (const core::Table* table = ShardedTableOf(relation))
    CheckChange(table->relation, Change::kDefinition);
}

void CheckAccess(ObjectAccessType access, Oid catalog, Oid object, int sub_object) {
  CheckCatalogAccess(access, catalog, object);
  if (access == OAT_TRUNCATE) {
    CheckChange(object, Change::kTruncate);
  } else if (catalog == RelationRelationId) {
    if (access == OAT_DROP && sub_object == 0)
      CheckChange(object, Change::kDrop);
    else
      CheckPartOfRelation(object);
  } else if (RelationPart part; FindRelationPart(catalog, object, &part)) {
    if (OidIsValid(part.relation)) CheckPartOfRelation(part.relation);
    if (OidIsValid(part.referenced)) CheckChange(part.referenced, Change::kReference);
  }
}

void ObjectAccess(ObjectAccessType access, Oid catalog, Oid object, int sub_object,
                  void* argument) {
  if (previous_object_access) previous_object_access(access, catalog, object, sub_object, argument);
  if (!ChangesDefinition(access, argument) || object < FirstNormalObjectId || !IsTransactionState())
    return;
  if (const core::ShardMap* map = CurrentShardMap(); map && !map->tables().empty())
    CheckAccess(access, catalog, object, sub_object);
}

bool IsIndex(Oid relation) {
  char kind = get_rel_relkind(relation);
  return kind == RELKIND_INDEX || kind == RELKIND_PARTITIONED_INDEX;
}

[[noreturn]] void RefuseParent(const char* name, Change change) {
  switch (change) {
    case Change::kDefinition:
      ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                      errmsg("sharded table \"%s\" cannot be changed on one node alone", name),
                      errhint("Pass the command to teamscale.run_on_all_nodes().")));
      break;
    case Change::kDrop:
      ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                      errmsg("sharded table \"%s\" cannot be dropped by this command", name),
                      errhint("Drop it by DROP TABLE, or call teamscale.undistribute_table(), "
                              "first.")));
      break;
    case Change::kTruncate:
      ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                      errmsg("sharded table \"%s\" cannot be truncated by this command", name),
                      errhint("Name it in the TRUNCATE command.")));
      break;
    case Change::kReference:
      ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                      errmsg("a foreign key cannot reference sharded table \"%s\" from here", name),
                      errdetail("Only tables that are colocated with it can reference it."),
                      errhint("Distribute the referencing table with teamscale.distribute_table() "
                              "first, and add the key with teamscale.run_on_all_nodes().")));
      break;
    case Change::kPartition:
      ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                      errmsg("partitions cannot be made of, or for, sharded table \"%s\"", name),
                      errhint("Its partitions are the buckets of each node, and rows are moved by "
                              "DELETE and INSERT.")));
      break;
  }
  pg_unreachable();
}

}  // namespace

void InitDdlGuard() {
  RegisterXactCallback(OnTransactionEnd, nullptr);
  previous_object_access = object_access_hook;
  object_access_hook = ObjectAccess;
}

DdlRight EnterOwnDdl() { return std::exchange(granted, DdlRight{command_depth + 1, true}); }

void LeaveOwnDdl(DdlRight previous) { granted = previous; }

int EnterCommand() { return command_depth++; }

void LeaveCommand(int previous) { command_depth = previous; }

DdlRight GrantDdlToCommand(bool drop) {
  return std::exchange(granted, DdlRight{command_depth, drop});
}

bool MayChangeHere() {
  if (command_depth <= granted.depth || creating_extension) return true;
  if (CurrentScope() == Scope::kCluster) return false;
  if (InLocalStatement()) return LocalStatementMayChangeDefinitions();
  return InRouterStatement() || superuser();
}

const core::Table* ShardedTableOf(Oid relation) {
  const core::ShardMap* map = CurrentShardMap();
  if (!map || map->tables().empty()) return nullptr;
  if (const core::Table* table = map->FindTable(relation)) return table;
  if (IsIndex(relation)) {
    relation = IndexGetRelation(relation, true);
    if (const core::Table* table = map->FindTable(relation)) return table;
  }
  if (!OidIsValid(relation) || !get_rel_relispartition(relation)) return nullptr;
  ListCell* cell;
  foreach (cell, get_partition_ancestors(relation))
    if (const core::Table* table = map->FindTable(lfirst_oid(cell))) return table;
  return nullptr;
}

bool IsOfLeaf(Oid relation) {
  if (IsIndex(relation)) relation = IndexGetRelation(relation, true);
  return OidIsValid(relation) && get_rel_relispartition(relation) && ShardedTableOf(relation);
}

void CheckChange(Oid relation, Change change) {
  const core::Table* table = ShardedTableOf(relation);
  if (!table) return;
  // The right to change is not always one to drop: the catalog would keep the table, or the bucket.
  bool drops = change == Change::kDrop && !IsIndex(relation);
  bool within = command_depth <= granted.depth;
  if (MayChangeHere() && (!drops || !within || granted.drop)) return;
  const char* name = get_rel_name(table->relation);
  if (IsScopeSetLocal() && !InLocalStatement())
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg("sharded table \"%s\" is read-only under teamscale.scope = local", name),
                    errdetail("Only superusers may write one node's part of it."),
                    errhint("SET teamscale.scope = cluster.")));
  // A leaf that a command names is told of before; one that is dropped here goes with its table.
  if (table->relation == relation || change == Change::kReference || drops)
    RefuseParent(name, change);
  if (IsIndex(relation)) RefuseParent(name, Change::kDefinition);
  ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                  errmsg("\"%s\" is a leaf of sharded table \"%s\" and cannot be changed by hand",
                         get_rel_name(relation), name),
                  errhint("Change the sharded table with teamscale.run_on_all_nodes().")));
}

}  // namespace teamscale

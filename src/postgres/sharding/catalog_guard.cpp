#include "teamscale/postgres/sharding/catalog_guard.h"

#include <cstring>

#include "teamscale/postgres/cluster/catalog.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/node_session.h"
#include "teamscale/postgres/sharding/named_relations.h"

extern "C" {
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

// CREATE EXTENSION teamscale and its updates.
bool InOwnScript() {
  return creating_extension && CurrentExtensionObject == get_extension_oid("teamscale", true);
}

bool IsOwnSchema(const char* name) {
  return strcmp(name, "teamscale") == 0 || strcmp(name, "teamscale_internal") == 0 ||
         strcmp(name, "teamscale_bucket") == 0;
}

// null when none is.
const char* AnyShardedTable() {
  const core::ShardMap* map = CurrentShardMap();
  return map && !map->tables().empty() ? get_rel_name(map->tables().front().relation) : nullptr;
}

[[noreturn]] void RefuseDrop(const char* sharded_table) {
  ereport(ERROR, (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
                  errmsg("extension \"teamscale\" cannot be dropped while a table is sharded"),
                  errdetail("\"%s\" is a sharded table.", sharded_table),
                  errhint("Call teamscale.undistribute_table() for each sharded table first.")));
  pg_unreachable();
}

[[noreturn]] void RefuseAlter(const char* name) {
  ereport(ERROR, (errcode(ERRCODE_OBJECT_IN_USE),
                  errmsg("\"%s\" cannot be changed while a table is sharded", name),
                  errdetail("teamscale knows by it which tables are sharded."),
                  errhint("Leave it as extension \"teamscale\" has made it.")));
  pg_unreachable();
}

// --- Rows ----------------------------------------------------------------------------------------

// What a client gives itself is refused. teamscale's own writes are within its functions, or come
// from another node, or are made in its name (ExecuteAsExtensionOwner); a dump is restored, and a
// node repaired, under teamscale.scope = local.
bool MayWriteRows() {
  return ExecutionNesting() > 0 || InRouterStatement() || InLocalUserIdChange() ||
         IsScopeSetLocal() || InOwnScript();
}

void CheckRows(Oid relation) {
  if (!OidIsValid(relation) || !IsCatalogRelation(relation)) return;
  ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                  errmsg("\"%s\" is the cluster's catalog and is not written by hand",
                         get_rel_name(relation)),
                  errdetail("teamscale knows by it which tables are sharded and where rows are."),
                  errhint("Call its functions, such as teamscale.undistribute_table() and "
                          "teamscale.remove_node(). A superuser repairs a node under "
                          "teamscale.scope = local.")));
}

// COPY FROM and TRUNCATE, which the executor does not see.
void CheckRowsOfCommand(const Node* command) {
  if (MayWriteRows() || !CurrentShardMap()) return;
  if (IsA(command, CopyStmt)) {
    auto* copy = reinterpret_cast<const CopyStmt*>(command);
    if (copy->is_from && copy->relation) CheckRows(FindNamed(copy->relation));
  } else if (IsA(command, TruncateStmt)) {
    ListCell* cell;
    foreach (cell, reinterpret_cast<const TruncateStmt*>(command)->relations)
      CheckRows(FindNamed(lfirst_node(RangeVar, cell)));
  }
}

// --- Commands ------------------------------------------------------------------------------------

void CheckNamed(const RangeVar* name, Change change) {
  Oid secret = CatalogRelation(CatalogTable::kNodeSecret);
  Oid relation = FindNamed(name);
  if (!OidIsValid(secret) || !OidIsValid(relation)) return;
  if (get_rel_relkind(relation) == RELKIND_INDEX) relation = IndexGetRelation(relation, true);
  if (relation == secret)
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg("permission denied for the cluster's secret"),
                    errdetail("Nothing may be hung on its table that would be shown it."),
                    errhint("Leave the table as extension \"teamscale\" has made it.")));
  if (!IsCatalogRelation(relation)) return;
  const char* sharded_table = AnyShardedTable();
  if (sharded_table && change == Change::kDrop) RefuseDrop(sharded_table);
  if (sharded_table) RefuseAlter(get_rel_name(relation));
}

bool DropsTeamscale(const DropStmt* drop) {
  if (drop->removeType != OBJECT_EXTENSION && drop->removeType != OBJECT_SCHEMA) return false;
  ListCell* cell;
  foreach (cell, drop->objects) {
    const char* name = strVal(lfirst(cell));
    if (drop->removeType == OBJECT_EXTENSION ? strcmp(name, "teamscale") == 0 : IsOwnSchema(name))
      return true;
  }
  return false;
}

}  // namespace

void CheckCatalogCommand(Node* command) {
  if (!IsTransactionState() || InOwnScript()) return;
  switch (nodeTag(command)) {
    case T_GrantStmt:
    case T_CommentStmt:
    case T_SecLabelStmt:
      return;
    case T_DropStmt: {
      auto* drop = reinterpret_cast<const DropStmt*>(command);
      const char* sharded_table = DropsTeamscale(drop) ? AnyShardedTable() : nullptr;
      if (sharded_table) RefuseDrop(sharded_table);
      break;
    }
    case T_CopyStmt:
    case T_TruncateStmt:
      CheckRowsOfCommand(command);
      break;
    default:
      break;
  }
  VisitNamedRelations(command, CheckNamed);
}

void CheckCatalogRows(const PlannedStmt* plan) {
  if (plan->resultRelations == NIL || MayWriteRows()) return;
  ListCell* cell;
  foreach (cell, plan->resultRelations) CheckRows(rt_fetch(lfirst_int(cell), plan->rtable)->relid);
}

void CheckCatalogAccess(ObjectAccessType access, Oid catalog, Oid object) {
  if (InOwnScript()) return;
  bool drops = access == OAT_DROP;
  if (!drops && access != OAT_POST_ALTER) return;
  if (catalog == RelationRelationId && IsCatalogRelation(object)) {
    if (const char* sharded_table = drops ? AnyShardedTable() : nullptr) RefuseDrop(sharded_table);
    if (!drops) RefuseAlter(get_rel_name(object));
  } else if (catalog == NamespaceRelationId && !drops) {
    // The name it has had until this command.
    const char* name = get_namespace_name(object);
    if (name && IsOwnSchema(name)) RefuseAlter(name);
  }
}

}  // namespace teamscale

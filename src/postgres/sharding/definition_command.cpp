// Commands that would change a sharded table's definition on this node alone: refused, early and
// with a HINT. What they reach without naming it is caught by the net of ddl_guard.h.

#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/sharding/ddl_guard.h"
#include "teamscale/postgres/sharding/named_relations.h"
#include "teamscale/postgres/sharding/utility_call.h"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_shdepend.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

void CheckNamed(const RangeVar* name, Change change) {
  Oid relation = FindNamed(name);
  if (!OidIsValid(relation)) return;
  if (change != Change::kDrop)
    CheckChange(relation, change);
  else if (IsOfLeaf(relation))
    CheckChange(relation, Change::kDefinition);
  // Whoever may not drop a sharded table is told so by PostgreSQL, and the net is behind it.
}

// --- What names a schema -------------------------------------------------------------------------

void CheckSchemaTables(const char* name) {
  Oid schema = get_namespace_oid(name, true);
  for (const core::Table& table : CurrentShardMap()->tables())
    if (get_rel_namespace(table.relation) == schema)
      CheckChange(table.relation, Change::kDefinition);
}

void CheckGrant(const GrantStmt* statement) {
  if (statement->objtype != OBJECT_TABLE || statement->targtype != ACL_TARGET_ALL_IN_SCHEMA) return;
  ListCell* cell;
  foreach (cell, statement->objects) CheckSchemaTables(strVal(lfirst(cell)));
}

// Statements name tables by their schemas, on every node the same.
void CheckRename(const RenameStmt* statement) {
  if (statement->renameType == OBJECT_SCHEMA) CheckSchemaTables(statement->subname);
}

// --- What names a role ---------------------------------------------------------------------------

// DROP OWNED takes privileges back as well as it drops: whatever of a sharded table the role is
// named in. (Policies are the net's.)
void CheckRole(Oid role) {
  Relation dependencies = table_open(SharedDependRelationId, AccessShareLock);
  ScanKeyData keys[2];
  ScanKeyInit(&keys[0], Anum_pg_shdepend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
              ObjectIdGetDatum(AuthIdRelationId));
  ScanKeyInit(&keys[1], Anum_pg_shdepend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
              ObjectIdGetDatum(role));
  SysScanDesc scan =
      systable_beginscan(dependencies, SharedDependReferenceIndexId, true, nullptr, 2, keys);
  while (HeapTuple tuple = systable_getnext(scan)) {
    auto* dependency = reinterpret_cast<Form_pg_shdepend>(GETSTRUCT(tuple));
    if (dependency->dbid == MyDatabaseId && dependency->classid == RelationRelationId)
      CheckChange(dependency->objid, Change::kDefinition);
  }
  systable_endscan(scan);
  table_close(dependencies, AccessShareLock);
}

void CheckRoles(List* roles) {
  ListCell* cell;
  foreach (cell, roles) {
    Oid role = get_rolespec_oid(static_cast<RoleSpec*>(lfirst(cell)), true);
    if (OidIsValid(role)) CheckRole(role);
  }
}

void CheckCopy(const CopyStmt* statement) {
  if (statement->is_from && statement->relation)
    CheckNamed(statement->relation, Change::kDefinition);
}

}  // namespace

void CheckDefinitionCommand(const UtilityCall& call) {
  Node* tree = call.statement->utilityStmt;
  VisitNamedRelations(tree, CheckNamed);
  switch (nodeTag(tree)) {
    case T_GrantStmt:
      CheckGrant(reinterpret_cast<GrantStmt*>(tree));
      break;
    case T_RenameStmt:
      CheckRename(reinterpret_cast<RenameStmt*>(tree));
      break;
    case T_DropOwnedStmt:
      CheckRoles(reinterpret_cast<DropOwnedStmt*>(tree)->roles);
      break;
    case T_CopyStmt:
      CheckCopy(reinterpret_cast<CopyStmt*>(tree));
      break;
    case T_CreatePublicationStmt:
    case T_AlterPublicationStmt:
      CheckPublication(tree);
      break;
    default:
      break;
  }
}

}  // namespace teamscale

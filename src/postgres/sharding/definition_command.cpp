// Commands that would change a sharded table's definition on this node alone: refused, early and
// with a HINT. What they reach without naming it is caught by the net of ddl_guard.h.

#include <cstring>

#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/node_session.h"
#include "teamscale/postgres/sharding/ddl_guard.h"
#include "teamscale/postgres/sharding/utility_call.h"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_shdepend.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"
}

namespace teamscale {

namespace {

void CheckNamed(const RangeVar* name, Change change) {
  if (!name) return;
  Oid relation = RangeVarGetRelid(name, NoLock, true);
  if (OidIsValid(relation)) CheckChange(relation, change);
}

void CheckAllNamed(List* range_vars, Change change) {
  ListCell* cell;
  foreach (cell, range_vars)
    if (IsA(lfirst(cell), RangeVar)) CheckNamed(static_cast<RangeVar*>(lfirst(cell)), change);
}

// A relation that begins a name of this many parts fewer: t of s.t.column, or of s.t.trigger.
void CheckQualified(Node* object, int parts_after) {
  if (!object || !IsA(object, List)) return;
  List* names = list_copy(reinterpret_cast<List*>(object));
  names = list_truncate(names, list_length(names) - parts_after);
  if (names != NIL) CheckNamed(makeRangeVarFromNameList(names), Change::kDefinition);
}

// COMMENT and SECURITY LABEL: of a relation, or of something that hangs on one.
void CheckObject(ObjectType type, Node* object) {
  switch (type) {
    case OBJECT_TABLE:
    case OBJECT_INDEX:
      CheckQualified(object, 0);
      break;
    case OBJECT_COLUMN:
    case OBJECT_TABCONSTRAINT:
    case OBJECT_TRIGGER:
    case OBJECT_POLICY:
    case OBJECT_RULE:
      CheckQualified(object, 1);
      break;
    default:
      break;
  }
}

// --- New tables that hang on a sharded one -------------------------------------------------------

void CheckConstraints(List* constraints) {
  ListCell* cell;
  foreach (cell, constraints)
    if (IsA(lfirst(cell), Constraint))
      CheckNamed(static_cast<Constraint*>(lfirst(cell))->pktable, Change::kReference);
}

void CheckNewTable(const CreateStmt* statement) {
  CheckAllNamed(statement->inhRelations, Change::kDefinition);
  CheckConstraints(statement->constraints);
  CheckConstraints(statement->tableElts);
  ListCell* cell;
  foreach (cell, statement->tableElts)
    if (IsA(lfirst(cell), ColumnDef))
      CheckConstraints(static_cast<ColumnDef*>(lfirst(cell))->constraints);
}

void CheckAlterCommand(const AlterTableCmd* command) {
  if (!command->def) return;
  switch (nodeTag(command->def)) {
    case T_Constraint:
      CheckNamed(reinterpret_cast<Constraint*>(command->def)->pktable, Change::kReference);
      break;
    case T_ColumnDef:
      CheckConstraints(reinterpret_cast<ColumnDef*>(command->def)->constraints);
      break;
    case T_PartitionCmd:
      CheckNamed(reinterpret_cast<PartitionCmd*>(command->def)->name, Change::kDefinition);
      break;
    case T_RangeVar:
      CheckNamed(reinterpret_cast<RangeVar*>(command->def), Change::kDefinition);
      break;
    default:
      break;
  }
}

void CheckAlterTable(const AlterTableStmt* statement) {
  CheckNamed(statement->relation, Change::kDefinition);
  ListCell* cell;
  foreach (cell, statement->cmds) CheckAlterCommand(static_cast<AlterTableCmd*>(lfirst(cell)));
}

// --- Privileges ----------------------------------------------------------------------------------

void CheckSchemaTables(List* schemas) {
  ListCell* cell;
  foreach (cell, schemas) {
    Oid schema = get_namespace_oid(strVal(lfirst(cell)), true);
    for (const core::Table& table : CurrentShardMap()->tables())
      if (get_rel_namespace(table.relation) == schema)
        CheckChange(table.relation, Change::kDefinition);
  }
}

void CheckGrant(const GrantStmt* statement) {
  if (statement->objtype != OBJECT_TABLE) return;
  if (statement->targtype == ACL_TARGET_OBJECT)
    CheckAllNamed(statement->objects, Change::kDefinition);
  else if (statement->targtype == ACL_TARGET_ALL_IN_SCHEMA)
    CheckSchemaTables(statement->objects);
}

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

// --- The guard that a server without the library needs -------------------------------------------

constexpr const char* kPreloadSetting = "session_preload_libraries";

bool KeepsLibrary(const VariableSetStmt* setting) {
  if (setting->kind == VAR_RESET_ALL) return false;
  if (!setting->name || strcmp(setting->name, kPreloadSetting) != 0) return true;
  if (setting->kind != VAR_SET_VALUE) return false;
  List* libraries;
  if (!SplitDirectoriesString(ExtractSetVariableArgs(const_cast<VariableSetStmt*>(setting)), ',',
                              &libraries))
    return false;
  ListCell* cell;
  foreach (cell, libraries) {
    const char* name = last_dir_separator(static_cast<char*>(lfirst(cell)));
    name = name ? name + 1 : static_cast<char*>(lfirst(cell));
    if (strcmp(name, "teamscale") == 0 || strcmp(name, "teamscale.so") == 0) return true;
  }
  return false;
}

void CheckSetting(const char* database, const VariableSetStmt* setting) {
  if (database && strcmp(database, get_database_name(MyDatabaseId)) != 0) return;
  if (KeepsLibrary(setting)) return;
  ereport(ERROR,
          (errcode(ERRCODE_OBJECT_IN_USE),
           errmsg("\"%s\" must load teamscale while a table is sharded", kPreloadSetting),
           errdetail("A session without the library would take this node's rows of a sharded table "
                     "for the whole table."),
           errhint("Set it to a list that has teamscale in it, or call "
                   "teamscale.undistribute_table() first.")));
}

// A role's own setting goes before the database's: taking it back is harmless.
void CheckRoleSetting(const AlterRoleSetStmt* statement) {
  if (statement->role && statement->setstmt->kind != VAR_SET_VALUE) return;
  CheckSetting(statement->database, statement->setstmt);
}

void CheckCopy(const CopyStmt* statement) {
  if (statement->is_from) CheckNamed(statement->relation, Change::kDefinition);
}

}  // namespace

void CheckDefinitionCommand(const UtilityCall& call) {
  Node* tree = call.statement->utilityStmt;
  switch (nodeTag(tree)) {
    case T_AlterTableStmt:
      CheckAlterTable(reinterpret_cast<AlterTableStmt*>(tree));
      break;
    case T_CreateStmt:
      CheckNewTable(reinterpret_cast<CreateStmt*>(tree));
      break;
    case T_IndexStmt:
      CheckNamed(reinterpret_cast<IndexStmt*>(tree)->relation, Change::kDefinition);
      break;
    case T_CreateTrigStmt:
      CheckNamed(reinterpret_cast<CreateTrigStmt*>(tree)->relation, Change::kDefinition);
      break;
    case T_RuleStmt:
      CheckNamed(reinterpret_cast<RuleStmt*>(tree)->relation, Change::kDefinition);
      break;
    case T_CreatePolicyStmt:
      CheckNamed(reinterpret_cast<CreatePolicyStmt*>(tree)->table, Change::kDefinition);
      break;
    case T_AlterPolicyStmt:
      CheckNamed(reinterpret_cast<AlterPolicyStmt*>(tree)->table, Change::kDefinition);
      break;
    case T_RenameStmt:
      CheckNamed(reinterpret_cast<RenameStmt*>(tree)->relation, Change::kDefinition);
      break;
    case T_AlterObjectSchemaStmt:
      CheckNamed(reinterpret_cast<AlterObjectSchemaStmt*>(tree)->relation, Change::kDefinition);
      break;
    case T_AlterObjectDependsStmt:
      CheckNamed(reinterpret_cast<AlterObjectDependsStmt*>(tree)->relation, Change::kDefinition);
      break;
    case T_CreateStatsStmt:
      CheckAllNamed(reinterpret_cast<CreateStatsStmt*>(tree)->relations, Change::kDefinition);
      break;
    case T_CommentStmt:
      CheckObject(reinterpret_cast<CommentStmt*>(tree)->objtype,
                  reinterpret_cast<CommentStmt*>(tree)->object);
      break;
    case T_SecLabelStmt:
      CheckObject(reinterpret_cast<SecLabelStmt*>(tree)->objtype,
                  reinterpret_cast<SecLabelStmt*>(tree)->object);
      break;
    case T_GrantStmt:
      CheckGrant(reinterpret_cast<GrantStmt*>(tree));
      break;
    case T_DropOwnedStmt:
      CheckRoles(reinterpret_cast<DropOwnedStmt*>(tree)->roles);
      break;
    case T_CopyStmt:
      CheckCopy(reinterpret_cast<CopyStmt*>(tree));
      break;
    case T_AlterDatabaseSetStmt:
      CheckSetting(reinterpret_cast<AlterDatabaseSetStmt*>(tree)->dbname,
                   reinterpret_cast<AlterDatabaseSetStmt*>(tree)->setstmt);
      break;
    case T_AlterRoleSetStmt:
      CheckRoleSetting(reinterpret_cast<AlterRoleSetStmt*>(tree));
      break;
    default:
      break;
  }
}

}  // namespace teamscale

#include "teamscale/postgres/sharding/named_relations.h"

extern "C" {
#include "catalog/namespace.h"
#include "nodes/makefuncs.h"
}

namespace teamscale {

namespace {

void VisitList(List* names, Change change, NamedRelation visit) {
  ListCell* cell;
  foreach (cell, names)
    if (IsA(lfirst(cell), RangeVar)) visit(static_cast<RangeVar*>(lfirst(cell)), change);
}

// A relation that begins a name of this many parts fewer: t of s.t.column, or of s.t.trigger.
void VisitQualified(Node* object, int parts_after, Change change, NamedRelation visit) {
  if (!object || !IsA(object, List)) return;
  List* names = list_copy(reinterpret_cast<List*>(object));
  names = list_truncate(names, list_length(names) - parts_after);
  if (names != NIL) visit(makeRangeVarFromNameList(names), change);
}

// COMMENT, SECURITY LABEL and DROP: of a relation, or of something that hangs on one.
void VisitObject(ObjectType type, Node* object, Change change, NamedRelation visit) {
  switch (type) {
    case OBJECT_TABLE:
    case OBJECT_INDEX:
    case OBJECT_FOREIGN_TABLE:
      VisitQualified(object, 0, change, visit);
      break;
    case OBJECT_COLUMN:
    case OBJECT_TABCONSTRAINT:
    case OBJECT_TRIGGER:
    case OBJECT_POLICY:
    case OBJECT_RULE:
      VisitQualified(object, 1, Change::kDefinition, visit);
      break;
    default:
      break;
  }
}

void VisitDrop(const DropStmt* statement, NamedRelation visit) {
  ListCell* cell;
  foreach (cell, statement->objects)
    VisitObject(statement->removeType, static_cast<Node*>(lfirst(cell)), Change::kDrop, visit);
}

void VisitConstraints(List* constraints, NamedRelation visit) {
  ListCell* cell;
  foreach (cell, constraints) {
    if (!IsA(lfirst(cell), Constraint)) continue;
    const RangeVar* referenced = static_cast<Constraint*>(lfirst(cell))->pktable;
    if (referenced) visit(referenced, Change::kReference);
  }
}

void VisitNewTable(const CreateStmt* statement, NamedRelation visit) {
  VisitList(statement->inhRelations, Change::kPartition, visit);
  VisitConstraints(statement->constraints, visit);
  VisitConstraints(statement->tableElts, visit);
  ListCell* cell;
  foreach (cell, statement->tableElts)
    if (IsA(lfirst(cell), ColumnDef))
      VisitConstraints(static_cast<ColumnDef*>(lfirst(cell))->constraints, visit);
}

void VisitAlterCommand(const AlterTableCmd* command, NamedRelation visit) {
  if (!command->def) return;
  switch (nodeTag(command->def)) {
    case T_Constraint:
      VisitConstraints(list_make1(command->def), visit);
      break;
    case T_ColumnDef:
      VisitConstraints(reinterpret_cast<ColumnDef*>(command->def)->constraints, visit);
      break;
    case T_PartitionCmd:
      visit(reinterpret_cast<PartitionCmd*>(command->def)->name, Change::kPartition);
      break;
    case T_RangeVar:  // INHERIT
      visit(reinterpret_cast<RangeVar*>(command->def), Change::kPartition);
      break;
    default:
      break;
  }
}

bool ChangesPartitions(const AlterTableCmd* command) {
  return command->def && IsA(command->def, PartitionCmd);
}

void VisitAlterTable(const AlterTableStmt* statement, NamedRelation visit) {
  Change change = Change::kDefinition;
  ListCell* cell;
  foreach (cell, statement->cmds)
    if (ChangesPartitions(static_cast<AlterTableCmd*>(lfirst(cell)))) change = Change::kPartition;
  visit(statement->relation, change);
  foreach (cell, statement->cmds)
    VisitAlterCommand(static_cast<AlterTableCmd*>(lfirst(cell)), visit);
}

// The one relation that a command of these kinds is about.
const RangeVar* OnlyRelation(const Node* tree) {
  switch (nodeTag(tree)) {
    case T_IndexStmt:
      return reinterpret_cast<const IndexStmt*>(tree)->relation;
    case T_CreateTrigStmt:
      return reinterpret_cast<const CreateTrigStmt*>(tree)->relation;
    case T_RuleStmt:
      return reinterpret_cast<const RuleStmt*>(tree)->relation;
    case T_CreatePolicyStmt:
      return reinterpret_cast<const CreatePolicyStmt*>(tree)->table;
    case T_AlterPolicyStmt:
      return reinterpret_cast<const AlterPolicyStmt*>(tree)->table;
    case T_RenameStmt:
      return reinterpret_cast<const RenameStmt*>(tree)->relation;
    case T_AlterObjectSchemaStmt:
      return reinterpret_cast<const AlterObjectSchemaStmt*>(tree)->relation;
    case T_AlterObjectDependsStmt:
      return reinterpret_cast<const AlterObjectDependsStmt*>(tree)->relation;
    default:
      return nullptr;
  }
}

}  // namespace

void VisitNamedRelations(Node* command, NamedRelation visit) {
  if (const RangeVar* relation = OnlyRelation(command)) {
    visit(relation, Change::kDefinition);
    return;
  }
  switch (nodeTag(command)) {
    case T_AlterTableStmt:
      VisitAlterTable(reinterpret_cast<AlterTableStmt*>(command), visit);
      break;
    case T_CreateStmt:
    case T_CreateForeignTableStmt:  // begins with a CreateStmt
      VisitNewTable(reinterpret_cast<CreateStmt*>(command), visit);
      break;
    case T_CreateSchemaStmt: {
      ListCell* cell;
      foreach (cell, reinterpret_cast<CreateSchemaStmt*>(command)->schemaElts)
        VisitNamedRelations(static_cast<Node*>(lfirst(cell)), visit);
      break;
    }
    case T_CreateStatsStmt:
      VisitList(reinterpret_cast<CreateStatsStmt*>(command)->relations, Change::kDefinition, visit);
      break;
    case T_CommentStmt: {
      auto* comment = reinterpret_cast<CommentStmt*>(command);
      VisitObject(comment->objtype, comment->object, Change::kDefinition, visit);
      break;
    }
    case T_SecLabelStmt: {
      auto* label = reinterpret_cast<SecLabelStmt*>(command);
      VisitObject(label->objtype, label->object, Change::kDefinition, visit);
      break;
    }
    case T_GrantStmt: {
      auto* grant = reinterpret_cast<GrantStmt*>(command);
      if (grant->objtype == OBJECT_TABLE && grant->targtype == ACL_TARGET_OBJECT)
        VisitList(grant->objects, Change::kDefinition, visit);
      break;
    }
    case T_DropStmt:
      VisitDrop(reinterpret_cast<DropStmt*>(command), visit);
      break;
    default:
      break;
  }
}

Oid FindNamed(const RangeVar* name) { return RangeVarGetRelid(name, NoLock, true); }

}  // namespace teamscale

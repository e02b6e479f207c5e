// What run_on_all_nodes() refuses of a sharded table: rules, and changes of how it is sharded.

#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/sharding/key_router.h"
#include "teamscale/postgres/sharding/utility_call.h"

extern "C" {
#include "catalog/namespace.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

[[noreturn]] void Refuse(const char* what, Oid relation, const char* hint) {
  ereport(ERROR,
          (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
           errmsg("%s sharded table \"%s\"", what, get_rel_name(relation)), errhint("%s", hint)));
}

bool IsKey(Oid relation, const char* column) {
  return column && get_attnum(relation, column) == KeyAttribute(GetKeyRouter(relation));
}

void CheckAlterCommand(Oid relation, const AlterTableCmd* command) {
  switch (command->subtype) {
    case AT_AttachPartition:
    case AT_DetachPartition:
    case AT_DetachPartitionFinalize:
      Refuse("leaves cannot be attached to or detached from", relation,
             "Rows are moved by DELETE and INSERT.");
    case AT_DropNotNull:
      if (IsKey(relation, command->name))
        Refuse("the key cannot be null in", relation, "Leave it NOT NULL.");
      break;
    default:
      break;
  }
}

Oid ShardedTableNamed(const RangeVar* name) {
  Oid relation = RangeVarGetRelid(name, NoLock, true);
  return OidIsValid(relation) && CurrentShardMap()->FindTable(relation) ? relation : InvalidOid;
}

}  // namespace

void CheckCommandForAllNodes(const UtilityCall& call) {
  const Node* tree = call.statement->utilityStmt;
  if (IsA(tree, RuleStmt)) {
    Oid relation = ShardedTableNamed(reinterpret_cast<const RuleStmt*>(tree)->relation);
    if (OidIsValid(relation)) Refuse("a rule cannot be made for", relation, "Use a trigger.");
  } else if (IsA(tree, AlterTableStmt)) {
    auto* alter = reinterpret_cast<const AlterTableStmt*>(tree);
    Oid relation = ShardedTableNamed(alter->relation);
    ListCell* cell;
    if (OidIsValid(relation))
      foreach (cell, alter->cmds)
        CheckAlterCommand(relation, static_cast<AlterTableCmd*>(lfirst(cell)));
  }
}

}  // namespace teamscale

// What run_on_all_nodes() refuses of a sharded table: rules, changes of how it is sharded, and of
// one leaf.

#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/sharding/key_router.h"
#include "teamscale/postgres/sharding/named_relations.h"
#include "teamscale/postgres/sharding/utility_call.h"

extern "C" {
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

// A leaf is on one node only, and IF EXISTS would let the command succeed on all.
void CheckNamed(const RangeVar* name, Change change) {
  Oid relation = FindNamed(name);
  const core::Table* table = OidIsValid(relation) ? ShardedTableOf(relation) : nullptr;
  if (!table) return;
  if (change == Change::kPartition)
    Refuse("partitions cannot be made of, or for,", table->relation,
           "Its partitions are the buckets of each node, and rows are moved by DELETE and INSERT.");
  if (IsOfLeaf(relation))
    Refuse("a leaf cannot be changed by itself: it belongs to", table->relation,
           "Give the command for the sharded table.");
}

void CheckAlterCommand(Oid relation, const AlterTableCmd* command) {
  switch (command->subtype) {
    case AT_DropNotNull:
      if (IsKey(relation, command->name))
        Refuse("the key cannot be null in", relation, "Leave it NOT NULL.");
      break;
    // PostgreSQL would take it for the parent alone, and leave the leaves as they are.
    case AT_SetUnLogged:
      Refuse("UNLOGGED cannot be set for", relation,
             "Sharded tables are logged; keep what may be lost in a plain table.");
    default:
      break;
  }
}

Oid ShardedTableNamed(const RangeVar* name) {
  Oid relation = FindNamed(name);
  return OidIsValid(relation) && CurrentShardMap()->FindTable(relation) ? relation : InvalidOid;
}

}  // namespace

void CheckCommandForAllNodes(const UtilityCall& call) {
  Node* tree = call.statement->utilityStmt;
  VisitNamedRelations(tree, CheckNamed);
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

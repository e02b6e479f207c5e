#include "teamscale/postgres/sharding/leaf_owner.h"

#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/partition/table_owner.h"

extern "C" {
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "commands/tablecmds.h"
}

namespace teamscale {

namespace {

bool ChangesOwner(const Node* tree) {
  if (!IsA(tree, AlterTableStmt)) return false;
  ListCell* cell;
  foreach (cell, reinterpret_cast<const AlterTableStmt*>(tree)->cmds)
    if (static_cast<AlterTableCmd*>(lfirst(cell))->subtype == AT_ChangeOwner) return true;
  return false;
}

}  // namespace

void PassOwnerToLeaves(const UtilityCall& call) {
  const Node* tree = call.statement->utilityStmt;
  if (!ChangesOwner(tree)) return;
  Oid parent =
      RangeVarGetRelid(reinterpret_cast<const AlterTableStmt*>(tree)->relation, NoLock, true);
  if (!OidIsValid(parent) || !CurrentShardMap()->FindTable(parent)) return;
  CommandCounterIncrement();
  Oid owner = TableOwner(parent);
  ListCell* cell;
  // The right to change the table is one to change its leaves: "recursing" asks for no other.
  foreach (cell, find_all_inheritors(parent, AccessExclusiveLock, nullptr))
    if (TableOwner(lfirst_oid(cell)) != owner)
      ATExecChangeOwner(lfirst_oid(cell), owner, true, AccessExclusiveLock);
}

}  // namespace teamscale

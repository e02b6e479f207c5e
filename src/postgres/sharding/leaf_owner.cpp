#include "teamscale/postgres/sharding/leaf_owner.h"

#include "teamscale/postgres/cluster/map.h"

extern "C" {
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/tablecmds.h"
#include "utils/syscache.h"
}

namespace teamscale {

namespace {

Oid OwnerOf(Oid relation) {
  HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
  if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for relation %u", relation);
  Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
  ReleaseSysCache(tuple);
  return owner;
}

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
  Oid owner = OwnerOf(parent);
  ListCell* cell;
  // The right to change the table is one to change its leaves: "recursing" asks for no other.
  foreach (cell, find_all_inheritors(parent, AccessExclusiveLock, nullptr))
    if (OwnerOf(lfirst_oid(cell)) != owner)
      ATExecChangeOwner(lfirst_oid(cell), owner, true, AccessExclusiveLock);
}

}  // namespace teamscale

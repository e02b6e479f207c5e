// Who may change sharded tables of this node alone, and the net that stops everyone else.
//
// A sharded table is the same on every node. So a command that changes its definition, or that
// drops or truncates it, acts on all nodes or is refused. What may act here alone: a router's
// statement (its node session), this node's share of a statement over several nodes, a superuser
// under teamscale.scope = local, an extension script, and teamscale's own code between EnterOwnDdl
// and LeaveOwnDdl. Plain dialect.
#pragma once

#include "teamscale/core/sharding/shard_map.h"
#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

// Sets the object access hook, which catches what reaches a sharded table by CASCADE or by a
// command that names something else. Called once by _PG_init.
void InitDdlGuard();

// The commands down to this depth of commands within each other have the right to change sharded
// tables here; drop: and to drop them, for they take them out of the catalog too.
struct DdlRight {
  int depth;
  bool drop;
};

// Brackets teamscale's own changes of sharded tables: commands that it runs itself may change them,
// what triggers and functions run within those commands may not. Leave takes what Enter gave; an
// error that ends the transaction leaves by itself.
DdlRight EnterOwnDdl();
void LeaveOwnDdl(DdlRight previous);

// The utility hook's brackets around each command that is no part of another command; it grants the
// right to the command that is to run here.
int EnterCommand();
void LeaveCommand(int previous);
DdlRight GrantDdlToCommand(bool drop);

bool MayChangeHere();

// The sharded table that the relation is, or is a leaf, an index or an index of a leaf of; null for
// any other relation. Reads the catalog.
const core::Table* ShardedTableOf(Oid relation);

// Whether the relation is a leaf of a sharded table, or an index of one.
bool IsOfLeaf(Oid relation);

// kReference: a foreign key of another table to it. kPartition: a partition or child of it, or it
// of another table.
enum class Change { kDefinition, kDrop, kTruncate, kReference, kPartition };

// Raises 0A000 unless the relation is no part of a sharded table or MayChangeHere().
void CheckChange(Oid relation, Change change);

}  // namespace teamscale

// CHECK constraints that say what a table's partition bound will say, so that it becomes a
// partition without a look at its rows.
//
// They are made of the server's own expressions, not of SQL: of text hashed, the text of an
// expression is read back as another one than it was printed from. Plain dialect, within a
// transaction that holds ACCESS EXCLUSIVE on the table that gets the constraint.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "nodes/pg_list.h"
}

namespace teamscale {

// Of a table that will hold what partitions hold, and of a default partition that holds nothing of
// what targets will.
constexpr char kBoundCheck[] = "teamscale_rewrite_bound";
constexpr char kFence[] = "teamscale_rewrite_fence";

// The target, empty and a partition of another table with the same key, will be one of the table
// with the same bound. Not for a default partition.
void AddBoundCheck(Oid table, Oid target);

// The target will be the default partition beside the table's partitions, without some of them, and
// those of the other table, of which it is the default partition now. To be validated.
void AddDefaultCheck(Oid table, const List* without, Oid other, Oid target);

// The table's default partition has no rows of the targets. To be validated.
void AddFence(Oid table, const List* targets, Oid default_partition);

// Whether a table has such a constraint, and has been found to meet it.
bool HasCheck(Oid table, const char* name);
bool HasValidCheck(Oid table, const char* name);

}  // namespace teamscale

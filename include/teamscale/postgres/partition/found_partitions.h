// The partitions that tables have, as the catalog says. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
}

namespace teamscale {

struct FoundPartition {
  Oid parent;
  Oid id;
  const char* schema;
  const char* name;
  const char* tablespace;  // "pg_default" for the database's own
  const PartitionBoundSpec* bound;
  char kind;  // RELKIND_...
  bool detach_pending;
  bool referenced;  // a foreign key names this very partition
  bool published;   // a publication names it
  double rows;      // the planner's estimate, of all below it
  double bytes;     // of its pages as of the last VACUUM or ANALYZE, all below it
};

// Of all the tables given (an array of OIDs), ordered by parent, in the current memory context: a
// list of FoundPartition. A table without partitions is not in it.
List* FindPartitions(const List* parents);

}  // namespace teamscale

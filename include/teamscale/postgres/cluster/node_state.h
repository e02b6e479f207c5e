// Whether this database may serve sharded tables: it is the node that its catalog says it is, and
// its catalog is not behind the cluster's.
//
// After each start of the server, before it serves, a database reaches itself through its own
// registered conninfo and must meet its own boot id and OID there: a copy of a node (base backup,
// template, restored dump) meets the original, or nobody, and serves nothing. Then it asks the
// other active nodes for their epochs: behind, disabled or removed, it serves nothing sharded. When
// no other node answers, it serves its own buckets. The maintenance worker asks again in each of
// its rounds, so that a node that was cut off, and not stopped, notices as well. What was found is
// kept in shared memory, per database.
#pragma once

#include "teamscale/postgres/cluster/visit.h"

namespace teamscale {

// Requests the shared memory when the server is starting. Called once by _PG_init.
void InitNodeState();

// Raises 55000 with a HINT unless this database may serve sharded tables. Cheap once it was found
// to serve. Nothing to do, and no error, when it is no node. Callable from both dialects.
void RequireServingNode();

// Whether RequireServingNode would pass without asking anybody. Plain dialect.
bool KnownToServe();

// The worker's part: takes in what a round of visits found, and says whether this database may
// settle in-doubt transactions. Guarded dialect.
bool NoteRound(const Self& self, const Round& round);

}  // namespace teamscale

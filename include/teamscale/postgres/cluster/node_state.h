// Whether this database may serve sharded tables: it is the node that its catalog says it is, and
// its catalog is not behind the cluster's.
//
// After each start of the server a database reaches itself through its own registered conninfo and
// must meet its own boot id and OID there: a copy of a node (base backup, template, restored dump)
// meets the original, or nobody, and serves nothing. Then it compares epochs with the first active
// node that answers: behind or disabled, it serves nothing sharded. When no other node answers, it
// serves its own buckets. The result is kept in shared memory per database.
#pragma once

namespace teamscale {

// Requests the shared memory when the server is starting. Called once by _PG_init.
void InitNodeState();

// Raises 55000 with a HINT unless this database may serve sharded tables. Cheap once it was found
// to serve. Nothing to do, and no error, when it is no node. Callable from both dialects.
void RequireServingNode();

// Whether the database may settle in-doubt transactions: it serves. Never raises for a database
// that must not; unreachable nodes are an error as in RequireServingNode.
bool IsServingNode();

}  // namespace teamscale

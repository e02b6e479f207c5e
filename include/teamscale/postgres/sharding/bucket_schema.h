// The schema of the leaves is closed. But an index of a sharded table has a part on each leaf, in
// that schema, and PostgreSQL asks the table's owner for the right to create there. Plain dialect.
#pragma once

#include "teamscale/postgres/sharding/utility_call.h"

namespace teamscale {

// For a command of a sharded table's owner that may make indexes: gives the owner that right for as
// long as the command runs; seen by no other transaction. True when it did: close it then.
bool OpenBucketSchema(const UtilityCall& call);
void CloseBucketSchema();

}  // namespace teamscale

// A key that an SQL function takes as an argument of any type. Plain dialect.
#pragma once

#include "teamscale/core/sharding/shard_map.h"
#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

// The bucket of the key in argument key_argument (declared "any") of the sharded table whose OID is
// in argument table_argument. A value of another type than the key's is converted as an INSERT of a
// literal or an implicit cast would do it; 42804 when there is no such way.
const core::Bucket* BucketOfArgument(FunctionCallInfo fcinfo, int table_argument, int key_argument);

}  // namespace teamscale

// From a value of a sharded table's key to its bucket. Plain dialect.
#pragma once

#include "teamscale/core/sharding/shard_map.h"
#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "access/attnum.h"
}

namespace teamscale {

// What routing by one table's key needs: its partition key and hash functions. Owned by the
// backend; valid until invalidations are accepted, so ask again for each statement.
struct KeyRouter;

// Registers the invalidation callback. Called once by _PG_init.
void InitKeyRouter();

// Raises 42809 when the relation is no sharded table.
const KeyRouter* GetKeyRouter(Oid parent);

Oid KeyType(const KeyRouter* router);
int32 KeyTypmod(const KeyRouter* router);
Oid KeyCollation(const KeyRouter* router);
AttrNumber KeyAttribute(const KeyRouter* router);
// The operator family of the partition key: hash for hash sharding, btree for list sharding.
Oid KeyOperatorFamily(const KeyRouter* router);
// The hash operator family whose equality is the key's, for either method.
Oid KeyHashFamily(const KeyRouter* router);

// Whether a value of this type can be routed: the key's own type, or one that the key's operator
// family compares and hashes with it (integer and bigint).
bool CanRouteType(const KeyRouter* router, Oid type);

// The bucket of a value, or null for a list value that is not placed. A null value hashes as
// PostgreSQL's partitioning does; no list bucket holds it.
const core::Bucket* BucketOfKey(const KeyRouter* router, Datum value, bool is_null, Oid type);

// The same, but raises 23514 with a HINT for a value that is not placed, and 23502 for null where
// no bucket holds it.
const core::Bucket* RequireBucketOfKey(const KeyRouter* router, Datum value, bool is_null,
                                       Oid type);

}  // namespace teamscale

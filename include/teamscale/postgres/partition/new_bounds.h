// The bounds of partitions that are to be made of others. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "nodes/primnodes.h"
#include "partitioning/partdefs.h"
}

namespace teamscale {

// In the order of a column of the key; NULL is the last.
int CompareConsts(PartitionKey key, int column, const Const* a, const Const* b);

// As ATTACH PARTITION writes it; the constants are read alike whatever the session's settings are.
const char* BoundText(const PartitionBoundSpec* bound);

// List of PartitionBoundSpec: of those that one partition is split into at the texts given (null
// for NULL). Raises 22023 when that cannot be done.
List* SplitBounds(Oid parent, Oid partition, const List* at);

// Of the one that several become.
const PartitionBoundSpec* MergedBound(Oid parent, const List* partitions);

}  // namespace teamscale

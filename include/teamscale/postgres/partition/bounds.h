// Bounds of partitions as the catalog stores them, and as the core sees them.
#pragma once

#include "teamscale/core/partition/bound.h"
#include "teamscale/postgres/partition/key_values.h"

extern "C" {
#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"
}

namespace teamscale {

// The bound of a partition; null for a table that is no partition. Plain dialect.
const PartitionBoundSpec* ReadPartitionBound(Oid partition);

// A constant as its type prints it; null for NULL. Plain dialect.
const char* ConstText(const Const* value);

// Of a bound by one column, the texts that BoundOf() needs: of the lower and the upper bound (null
// for MINVALUE and MAXVALUE), or of each value of a list (null for NULL). Plain dialect.
List* BoundTexts(const PartitionBoundSpec* bound);

// key: null where no range policy can be on the column; a range has no points then. Raises nothing:
// callable from both dialects.
core::Bound BoundOf(const PartitionBoundSpec* bound, const List* texts, const RangeKey* key);

}  // namespace teamscale

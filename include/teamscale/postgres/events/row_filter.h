// The condition on a table's rows that a stream has: evaluated on rows out of the log, as a
// publication's is. Built-in immutable functions, operators and types only: nothing that a user
// could have written, or that reads tables. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"
#include "teamscale/postgres/events/stream_options.h"

extern "C" {
#include "nodes/bitmapset.h"
#include "utils/relcache.h"
}

namespace teamscale {

struct RowFilter;
struct RowValues;

// Null when the stream has no condition on this table. In the current memory context.
RowFilter* MakeRowFilter(const StreamOptions& options, const char* schema, const char* table,
                         Relation relation);

// Whether the row is one of the stream's: the condition is true, not false or null.
bool RowMatches(RowFilter* filter, const RowValues& row);

// Parses and checks a condition on a relation; gives its expression. Raises what is wrong with it.
Node* ParseRowCondition(const char* condition, Relation relation);

// Which columns a condition reads, as RelationGetIndexAttrBitmap counts.
Bitmapset* ColumnsOfCondition(Node* condition);

// The old row has the columns that the condition reads: it is whole, or they are of the key.
bool CanJudgeOldRows(const RowFilter* filter, Relation relation);

}  // namespace teamscale

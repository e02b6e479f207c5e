// The INSERT that other nodes get for their rows of a split INSERT: the same statement, with its
// rows as arrays. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"
#include "teamscale/postgres/sharding/travel.h"

namespace teamscale {

// Of the statement's parameters those that are ArrayParameter (split_insert_nodes.h) are the arrays
// of the columns' values. The query is left as it is. Raises as MakeTravellingStatement.
TravellingStatement* MakeInsertStatement(const Query* query, List* columns);

}  // namespace teamscale

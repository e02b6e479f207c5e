// From a travelling statement back to a query that this server plans. Plain dialect.
#pragma once

#include "teamscale/postgres/sharding/travel.h"

namespace teamscale::round_trip {

// Parses and rewrites the statement's text as another node would, then puts the parameters'
// expressions in the places of the parameters. The result has the columns of the original.
Query* Reparse(const TravellingStatement* statement, const Query* original);

// Whether two queries are the same but for what deparsing may choose: aliases and positions.
bool IsSameTree(const Query* left, const Query* right);

}  // namespace teamscale::round_trip

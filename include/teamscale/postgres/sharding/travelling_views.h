// Views that travel by their names: of another owner, or security barriers (see view_folding.h).
// The node that runs the statement expands its own view of the name, which must be the same. So the
// text begins with a comment that lists the views, each with a digest of its definition; the other
// node compares whenever it plans the statement, again after a change of a view. A change on the
// router's side makes another text. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "nodes/parsenodes.h"
}

namespace teamscale {

// The list for a query whose views are folded, with the views that those are made of; empty when it
// names none.
const char* TravellingViews(Query* query);

// Raises 55000 when a view that the text of a statement lists is another one here, or none.
void CheckTravellingViews(const char* sql);

}  // namespace teamscale

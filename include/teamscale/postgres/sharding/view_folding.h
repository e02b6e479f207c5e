// Turns expanded views back into references to them. Plain dialect.
#pragma once

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "nodes/parsenodes.h"
}

namespace teamscale {

// The range table entry of the view that this entry was before the rewriter expanded it, or null.
const RangeTblEntry* ExpandedView(const RangeTblEntry* entry);

// Undoes the rewriter's expansion of views, at every level of the query, which is changed: on the
// other node the view is expanded again, with its owner's rights and its security barrier.
void FoldViews(Query* query);

}  // namespace teamscale

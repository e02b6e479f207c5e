#include "teamscale/postgres/sharding/view_folding.h"

#include "teamscale/postgres/boundary/tree.h"

extern "C" {
#include "catalog/pg_class.h"
}

namespace teamscale {

namespace {

void FoldView(RangeTblEntry* entry) {
  const RangeTblEntry* view = ExpandedView(entry);
  if (!view) return;
  entry->rtekind = RTE_RELATION;
  entry->relid = view->relid;
  entry->relkind = RELKIND_VIEW;
  entry->rellockmode = view->rellockmode;
  entry->inh = true;
  entry->security_barrier = false;
  entry->subquery = nullptr;
}

bool FoldWalker(Node* node, void*) {
  if (!node) return false;
  if (IsA(node, Query)) {
    FoldViews(reinterpret_cast<Query*>(node));
    return false;
  }
  return WalkExpression<void>(node, FoldWalker, nullptr);
}

}  // namespace

// A view's stored query begins with the entries OLD and NEW of its rule, which name the view. No
// statement of a user has such an entry: the rewriter expands every view that one names.
const RangeTblEntry* ExpandedView(const RangeTblEntry* entry) {
  if (entry->rtekind != RTE_SUBQUERY || !entry->subquery) return nullptr;
  if (list_length(entry->subquery->rtable) < 2) return nullptr;
  auto* old = linitial_node(RangeTblEntry, entry->subquery->rtable);
  bool is_view = old->rtekind == RTE_RELATION && old->relkind == RELKIND_VIEW && !old->inFromCl &&
                 strcmp(old->eref->aliasname, "old") == 0;
  return is_view ? old : nullptr;
}

void FoldViews(Query* query) {
  ListCell* cell;
  foreach (cell, query->rtable) FoldView(lfirst_node(RangeTblEntry, cell));
  WalkQuery<void>(query, FoldWalker, nullptr);
}

}  // namespace teamscale

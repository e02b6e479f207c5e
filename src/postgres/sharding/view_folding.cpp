#include "teamscale/postgres/sharding/view_folding.h"

#include "teamscale/postgres/boundary/tree.h"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/syscache.h"
}

namespace teamscale {

namespace {

// A view of the current user's means on the other node what its query means: that role's rights and
// policies apply either way. So it may travel expanded, and need not exist there. Not so a security
// barrier: no query says that its conditions come first.
bool BelongsToCurrentUser(Oid view) {
  HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(view));
  if (!HeapTupleIsValid(tuple)) return false;
  Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
  ReleaseSysCache(tuple);
  return owner == GetUserId();
}

void FoldView(RangeTblEntry* entry) {
  const RangeTblEntry* view = ExpandedView(entry);
  if (!view || (BelongsToCurrentUser(view->relid) && !entry->security_barrier)) return;
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

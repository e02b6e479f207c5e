#include "teamscale/postgres/sharding/statement_repair.h"

#include "teamscale/postgres/boundary/tree.h"

namespace teamscale {

namespace {

bool RepairWalker(Node* node, void*) {
  if (!node) return false;
  if (IsA(node, Query)) {
    RepairForDeparse(reinterpret_cast<Query*>(node));
    return false;
  }
  return WalkExpression<void>(node, RepairWalker, nullptr);
}

void RepairMergeActions(Query* query) {
  ListCell* cell;
  foreach (cell, query->mergeActionList) {
    auto* action = lfirst_node(MergeAction, cell);
    action->targetList = action->commandType == CMD_INSERT
                             ? RepairInsertTargets(action->targetList)
                             : RepairUpdateTargets(action->targetList);
  }
}

// SEARCH and CYCLE were expanded into the query's own columns: printed again they clash with them.
void ForgetSearches(Query* query) {
  ListCell* cell;
  foreach (cell, query->cteList) {
    auto* expression = lfirst_node(CommonTableExpr, cell);
    expression->search_clause = nullptr;
    expression->cycle_clause = nullptr;
  }
}

bool ForgetWalker(Node* node, void*) {
  if (!node) return false;
  if (IsA(node, Query)) {
    ForgetRowSecurity(reinterpret_cast<Query*>(node));
    return false;
  }
  return WalkExpression<void>(node, ForgetWalker, nullptr);
}

}  // namespace

void ForgetRowSecurity(Query* query) {
  query->withCheckOptions = NIL;
  ListCell* cell;
  foreach (cell, query->rtable) lfirst_node(RangeTblEntry, cell)->securityQuals = NIL;
  WalkQuery<void>(query, ForgetWalker, nullptr);
}

void RepairForDeparse(Query* query) {
  query->isReturn = false;  // of an SQL function's body: it would be printed as RETURN
  ForgetSearches(query);
  switch (query->commandType) {
    case CMD_UPDATE:
      query->targetList = RepairUpdateTargets(query->targetList);
      break;
    case CMD_INSERT:
      if (query->onConflict)
        query->onConflict->onConflictSet = RepairUpdateTargets(query->onConflict->onConflictSet);
      query->targetList = RepairInsertTargets(query->targetList);
      AlignInsertSource(query);
      break;
    case CMD_MERGE:
      RepairMergeActions(query);
      break;
    default:
      break;
  }
  WalkQuery<void>(query, RepairWalker, nullptr);
}

}  // namespace teamscale

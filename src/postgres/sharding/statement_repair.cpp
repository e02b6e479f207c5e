#include "teamscale/postgres/sharding/statement_repair.h"

#include "teamscale/postgres/boundary/tree.h"

extern "C" {
#include "access/sysattr.h"
#include "nodes/makefuncs.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
}

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

// SET generated = DEFAULT assigns nothing and leaves no target, yet rows are updated and triggers
// fire.
void KeepUpdateOfGenerated(Query* query) {
  if (query->targetList) return;
  auto* table = rt_fetch(query->resultRelation, query->rtable);
  int column = bms_next_member(table->updatedCols, -1);
  if (column < 0) return;
  auto number = static_cast<AttrNumber>(column + FirstLowInvalidHeapAttributeNumber);
  auto* value = makeNode(SetToDefault);
  get_atttypetypmodcoll(table->relid, number, &value->typeId, &value->typeMod, &value->collation);
  value->location = -1;
  query->targetList = list_make1(makeTargetEntry(reinterpret_cast<Expr*>(value), number,
                                                 get_attname(table->relid, number, false), false));
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
  RestoreSearches(query);
  RepairSortKeys(query);
  switch (query->commandType) {
    case CMD_UPDATE:
      query->targetList = RepairUpdateTargets(query->targetList);
      KeepUpdateOfGenerated(query);
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

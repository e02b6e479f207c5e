#include "teamscale/postgres/sharding/pass_through_node.h"

extern "C" {
#include "nodes/makefuncs.h"
}

namespace teamscale {

namespace {

// The same columns, each a reference to the column in its place of varno; but a constant null stays
// one: that is how ModifyTable knows that nothing is put into a dropped or generated column.
List* ReferTo(List* target_list, int varno) {
  List* references = NIL;
  ListCell* cell;
  foreach (cell, target_list) {
    auto* entry = static_cast<TargetEntry*>(lfirst(cell));
    bool is_null = IsA(entry->expr, Const) && reinterpret_cast<Const*>(entry->expr)->constisnull;
    auto* expression = is_null ? static_cast<Expr*>(copyObjectImpl(entry->expr))
                               : reinterpret_cast<Expr*>(makeVarFromTargetEntry(varno, entry));
    references = lappend(references,
                         makeTargetEntry(expression, entry->resno, entry->resname, entry->resjunk));
  }
  return references;
}

}  // namespace

CustomScan* MakePassThroughNode(Plan* child, const CustomScanMethods* methods, List* private_data) {
  auto* node = makeNode(CustomScan);
  node->methods = methods;
  node->custom_private = private_data;
  node->custom_scan_tlist = ReferTo(child->targetlist, OUTER_VAR);
  Plan* plan = &node->scan.plan;
  plan->targetlist = ReferTo(child->targetlist, INDEX_VAR);
  plan->lefttree = child;
  plan->startup_cost = child->startup_cost;
  plan->total_cost = child->total_cost;
  plan->plan_rows = child->plan_rows;
  plan->plan_width = child->plan_width;
  plan->extParam = bms_copy(child->extParam);
  plan->allParam = bms_copy(child->allParam);
  return node;
}

}  // namespace teamscale

#include "teamscale/postgres/boundary/tree.h"
#include "teamscale/postgres/sharding/statement_repair.h"

extern "C" {
#include "nodes/makefuncs.h"
}

namespace teamscale {

namespace {

bool IsAssignment(const Node* node) {
  if (!node) return false;
  if (IsA(node, SubscriptingRef))
    return reinterpret_cast<const SubscriptingRef*>(node)->refassgnexpr != nullptr;
  return IsA(node, FieldStore);
}

// An element of an array domain is assigned below the coercion to the domain.
Node* WithoutDomain(Node* node) {
  while (node && IsA(node, CoerceToDomain)) {
    auto* coercion = reinterpret_cast<CoerceToDomain*>(node);
    if (coercion->coercionformat != COERCE_IMPLICIT_CAST) break;
    node = reinterpret_cast<Node*>(coercion->arg);
  }
  return node;
}

// What an assignment changes: the column, or another assignment to it that comes first.
Node* Container(Node* assignment) {
  if (IsA(assignment, SubscriptingRef))
    return WithoutDomain(
        reinterpret_cast<Node*>(reinterpret_cast<SubscriptingRef*>(assignment)->refexpr));
  return WithoutDomain(reinterpret_cast<Node*>(reinterpret_cast<FieldStore*>(assignment)->arg));
}

Node* InnermostContainer(Node* assignment) {
  while (IsAssignment(assignment)) assignment = Container(assignment);
  return assignment;
}

// The single assignments that the rewriter nested into one, first to last.
List* SplitAssignment(Node* expression) {
  Node* assignment = WithoutDomain(expression);
  if (!IsAssignment(assignment)) return list_make1(expression);
  Node* container = Container(assignment);
  List* parts = IsAssignment(container) ? SplitAssignment(container) : NIL;
  auto* column = reinterpret_cast<Expr*>(InnermostContainer(container));
  if (IsA(assignment, SubscriptingRef)) {
    auto* part = reinterpret_cast<SubscriptingRef*>(copyObjectImpl(assignment));
    part->refexpr = column;
    return lappend(parts, part);
  }
  auto* store = reinterpret_cast<FieldStore*>(assignment);
  ListCell *value, *number;
  forboth(value, store->newvals, number, store->fieldnums) {
    auto* part = makeNode(FieldStore);
    part->arg = column;
    part->newvals = list_make1(lfirst(value));
    part->fieldnums = list_make1_int(lfirst_int(number));
    part->resulttype = store->resulttype;
    parts = lappend(parts, part);
  }
  return parts;
}

bool FindMultiAssignment(Node* node, int* number) {
  if (!node) return false;
  if (IsA(node, Param) && reinterpret_cast<Param*>(node)->paramkind == PARAM_MULTIEXPR) {
    *number = reinterpret_cast<Param*>(node)->paramid;
    return true;
  }
  return WalkExpression<int>(node, FindMultiAssignment, number);
}

// The number of the column of a SET (a, b) = (SELECT ...), 0 for other assignments.
int MultiAssignmentNumber(const TargetEntry* entry) {
  int number = 0;
  FindMultiAssignment(reinterpret_cast<Node*>(entry->expr), &number);
  return number;
}

// list_sort is not stable: the entries carry their old place while they are sorted.
int CompareTargets(const ListCell* left, const ListCell* right) {
  auto* a = lfirst_node(TargetEntry, left);
  auto* b = lfirst_node(TargetEntry, right);
  int difference = MultiAssignmentNumber(a) - MultiAssignmentNumber(b);
  if (difference != 0) return difference;
  return static_cast<int>(a->ressortgroupref) - static_cast<int>(b->ressortgroupref);
}

bool IsIdentityValue(const TargetEntry* entry) {
  return IsA(WithoutDomain(reinterpret_cast<Node*>(entry->expr)), NextValueExpr);
}

List* RepairTargets(List* targets) {
  List* parts = NIL;
  List* junk = NIL;
  Index place = 0;
  bool has_multi_assignment = false;
  ListCell* cell;
  foreach (cell, targets) {
    auto* entry = lfirst_node(TargetEntry, cell);
    if (entry->resjunk) {
      junk = lappend(junk, entry);
      continue;
    }
    ListCell* split;
    foreach (split, SplitAssignment(reinterpret_cast<Node*>(entry->expr))) {
      TargetEntry* part = flatCopyTargetEntry(entry);
      part->expr = static_cast<Expr*>(lfirst(split));
      part->ressortgroupref = ++place;
      has_multi_assignment |= MultiAssignmentNumber(part) != 0;
      parts = lappend(parts, part);
    }
  }
  if (has_multi_assignment) list_sort(parts, CompareTargets);
  foreach (cell, parts) lfirst_node(TargetEntry, cell)->ressortgroupref = 0;
  return list_concat(parts, junk);
}

}  // namespace

List* RepairUpdateTargets(List* targets) {
  ListCell* cell;
  foreach (cell, targets) {
    auto* entry = lfirst_node(TargetEntry, cell);
    if (!IsIdentityValue(entry)) continue;
    auto* value = makeNode(SetToDefault);
    value->typeId = exprType(reinterpret_cast<Node*>(entry->expr));
    value->typeMod = -1;
    value->collation = exprCollation(reinterpret_cast<Node*>(entry->expr));
    value->location = -1;
    entry->expr = reinterpret_cast<Expr*>(value);
  }
  return RepairTargets(targets);
}

List* RepairInsertTargets(List* targets) {
  ListCell* cell;
  foreach (cell, targets)
    if (IsIdentityValue(lfirst_node(TargetEntry, cell)))
      targets = foreach_delete_current(targets, cell);
  return RepairTargets(targets);
}

Node** AssignedValue(Node** expression) {
  for (;;) {
    Node* node = *expression;
    if (node && IsA(node, SubscriptingRef) && IsAssignment(node))
      expression =
          reinterpret_cast<Node**>(&reinterpret_cast<SubscriptingRef*>(node)->refassgnexpr);
    else if (node && IsA(node, FieldStore))
      expression =
          reinterpret_cast<Node**>(&linitial(reinterpret_cast<FieldStore*>(node)->newvals));
    else if (node && IsA(node, CoerceToDomain) && IsAssignment(WithoutDomain(node)))
      expression = reinterpret_cast<Node**>(&reinterpret_cast<CoerceToDomain*>(node)->arg);
    else
      return expression;
  }
}

}  // namespace teamscale

#include "teamscale/postgres/sharding/hoisting.h"

#include "teamscale/postgres/boundary/tree.h"

extern "C" {
#include "access/transam.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

struct Hoisting {
  List* expressions = NIL;  // as found, for comparison
  // Within VALUES of one row every expression is evaluated exactly once, volatile ones too.
  bool evaluated_once = false;
  // Within an arm of CASE or COALESCE nothing may be evaluated that could fail.
  bool conditional = false;
  // nextval of the same statement would come before or after a hoisted currval.
  bool advances_sequence = false;
};

bool IsSequenceAdvance(Oid function, void*) {
  return function == F_NEXTVAL || function == F_SETVAL_REGCLASS_INT8 ||
         function == F_SETVAL_REGCLASS_INT8_BOOL;
}

bool AdvancesSequence(Node* node, void*) {
  if (!node) return false;
  if (IsA(node, NextValueExpr)) return true;
  if (check_functions_in_node(node, IsSequenceAdvance, nullptr)) return true;
  if (IsA(node, Query))
    return WalkQuery<void>(reinterpret_cast<Query*>(node), AdvancesSequence, nullptr);
  return WalkExpression<void>(node, AdvancesSequence, nullptr);
}

bool IsSequenceRead(Oid function) { return function == F_CURRVAL || function == F_LASTVAL; }

bool IsOtherVolatile(Oid function, void*) {
  return !IsSequenceRead(function) && func_volatile(function) == PROVOLATILE_VOLATILE;
}

// Volatile, apart from the reading of sequences.
bool IsVolatile(Node* node, void*) {
  if (!node) return false;
  if (IsA(node, NextValueExpr)) return true;
  if (check_functions_in_node(node, IsOtherVolatile, nullptr)) return true;
  return WalkExpression<void>(node, IsVolatile, nullptr);
}

// What ties an expression to its place in the statement. A CaseTestExpr stands for a value that the
// node above it supplies: free as long as that node moves too.
bool IsBound(Node* node, bool* has_supplier) {
  if (!node) return false;
  switch (nodeTag(node)) {
    case T_Var:
    case T_SubLink:
    case T_Aggref:
    case T_WindowFunc:
    case T_GroupingFunc:
    case T_SetToDefault:
    case T_CoerceToDomainValue:
    case T_CurrentOfExpr:
    case T_Query:
      return true;
    case T_CaseTestExpr:
      return !*has_supplier;
    case T_Param:
      return reinterpret_cast<Param*>(node)->paramkind != PARAM_EXTERN;
    case T_CaseExpr:
    case T_ArrayCoerceExpr: {
      bool supplied =
          IsA(node, ArrayCoerceExpr) || reinterpret_cast<CaseExpr*>(node)->arg || *has_supplier;
      return WalkExpression<bool>(node, IsBound, &supplied);
    }
    default:
      return WalkExpression<bool>(node, IsBound, has_supplier);
  }
}

// The nodes that compute a value. Others are clauses, lists, or parts of such a node.
bool ComputesValue(const Node* node) {
  switch (nodeTag(node)) {
    case T_FuncExpr:
    case T_OpExpr:
    case T_DistinctExpr:
    case T_NullIfExpr:
    case T_ScalarArrayOpExpr:
    case T_BoolExpr:
    case T_FieldSelect:
    case T_FieldStore:
    case T_SubscriptingRef:
    case T_RelabelType:
    case T_CoerceViaIO:
    case T_ArrayCoerceExpr:
    case T_ConvertRowtypeExpr:
    case T_CollateExpr:
    case T_CaseExpr:
    case T_ArrayExpr:
    case T_RowExpr:
    case T_RowCompareExpr:
    case T_CoalesceExpr:
    case T_MinMaxExpr:
    case T_SQLValueFunction:
    case T_XmlExpr:
    case T_NullTest:
    case T_BooleanTest:
    case T_CoerceToDomain:
    case T_NextValueExpr:
      return true;
    default:
      return false;
  }
}

// PL/pgSQL passes a record variable as a parameter of no certain type: its field can travel.
bool IsFieldOfRecordParameter(const Node* node) {
  if (!IsA(node, FieldSelect)) return false;
  auto* argument = reinterpret_cast<const Node*>(reinterpret_cast<const FieldSelect*>(node)->arg);
  return IsA(argument, Param) &&
         reinterpret_cast<const Param*>(argument)->paramkind == PARAM_EXTERN &&
         reinterpret_cast<const Param*>(argument)->paramtype == RECORDOID;
}

bool CanFail(const Node* node) {
  if (IsA(node, SQLValueFunction)) return false;
  return !IsA(node, FuncExpr) || reinterpret_cast<const FuncExpr*>(node)->args != NIL;
}

bool IsHoisted(Node* node, const Hoisting* hoisting) {
  if (!ComputesValue(node)) return false;
  if (IsFieldOfRecordParameter(node)) return true;
  if (!contain_mutable_functions(node)) return false;
  if (hoisting->conditional && CanFail(node)) return false;
  if (get_typtype(exprType(node)) == TYPTYPE_PSEUDO) return false;
  if (contain_volatile_functions(node)) {
    bool movable = hoisting->evaluated_once
                       ? !hoisting->conditional
                       : !hoisting->advances_sequence && !IsVolatile(node, nullptr);
    if (!movable) return false;
  }
  bool has_supplier = false;
  return !IsBound(node, &has_supplier) && !expression_returns_set(node);
}

int FindExpression(const List* expressions, Node* expression) {
  int number = 0;
  ListCell* cell;
  foreach (cell, expressions) {
    ++number;
    if (equal(lfirst(cell), expression)) return number;
  }
  return 0;
}

// The reference to a parameter, of the type and collation of its expression. The other node takes
// the type of a parameter from its OID, or, where OIDs differ, from the cast in the text.
Node* MakeReference(int number, const Node* expression) {
  Oid type = exprType(expression);
  auto* parameter = makeNode(Param);
  parameter->paramkind = PARAM_EXTERN;
  parameter->paramid = number;
  parameter->paramtype = type;
  parameter->paramtypmod = -1;
  parameter->paramcollid = get_typcollation(type);
  parameter->location = -1;
  auto* reference = reinterpret_cast<Expr*>(parameter);
  if (!IsSameOnEveryNode(type))
    reference = reinterpret_cast<Expr*>(
        makeRelabelType(reference, type, -1, parameter->paramcollid, COERCE_EXPLICIT_CAST));
  Oid collation = exprCollation(expression);
  if (OidIsValid(collation) && collation != parameter->paramcollid) {
    auto* collate = makeNode(CollateExpr);
    collate->arg = reference;
    collate->collOid = collation;
    collate->location = -1;
    reference = reinterpret_cast<Expr*>(collate);
  }
  return reinterpret_cast<Node*>(reference);
}

Node* Hoist(Node* expression, Hoisting* hoisting) {
  bool may_share = !contain_volatile_functions(expression);
  int number = may_share ? FindExpression(hoisting->expressions, expression) : 0;
  if (number == 0) {
    hoisting->expressions = lappend(hoisting->expressions, expression);
    number = list_length(hoisting->expressions);
  }
  return MakeReference(number, expression);
}

Node* HoistWithin(Node* node, Hoisting* hoisting);

// The target list of INSERT ... VALUES of one row: its identity values are then given explicitly.
void HoistInsertedRow(Query* query, Hoisting* hoisting) {
  ListCell* cell;
  foreach (cell, query->targetList)
    if (IsA(lfirst_node(TargetEntry, cell)->expr, NextValueExpr))
      query->override = OVERRIDING_SYSTEM_VALUE;
  hoisting->evaluated_once = true;
  query->targetList =
      reinterpret_cast<List*>(HoistWithin(reinterpret_cast<Node*>(query->targetList), hoisting));
  hoisting->evaluated_once = false;
}

bool InsertsOneRow(const Query* query) {
  return query->commandType == CMD_INSERT && query->jointree->fromlist == NIL;
}

Node* HoistWithinQuery(Query* query, Hoisting* hoisting) {
  bool evaluated_once = hoisting->evaluated_once;
  hoisting->evaluated_once = false;
  List* inserted = NIL;
  bool inserts_one_row = InsertsOneRow(query);
  if (inserts_one_row) {
    HoistInsertedRow(query, hoisting);
    inserted = query->targetList;
    query->targetList = NIL;  // done: a second pass would take its parameters for the client's
  }
  query = MutateQuery(query, HoistWithin, hoisting, QTW_IGNORE_JOINALIASES | QTW_DONT_COPY_QUERY);
  if (inserts_one_row) query->targetList = inserted;
  hoisting->evaluated_once = evaluated_once;
  return reinterpret_cast<Node*>(query);
}

// A function in FROM has to stay one; its arguments need not.
Node* HoistWithinArguments(RangeTblFunction* function, Hoisting* hoisting) {
  auto* copy = makeNode(RangeTblFunction);
  *copy = *function;
  copy->funcexpr = MutateExpression(function->funcexpr, HoistWithin, hoisting);
  return reinterpret_cast<Node*>(copy);
}

// CASE and COALESCE that stay: what comes first is always evaluated, the rest is conditional.
Node* HoistWithinArms(Node* node, Hoisting* hoisting) {
  bool conditional = hoisting->conditional;
  if (IsA(node, CoalesceExpr)) {
    auto* coalesce = makeNode(CoalesceExpr);
    *coalesce = *reinterpret_cast<CoalesceExpr*>(node);
    List* arguments = NIL;
    ListCell* cell;
    foreach (cell, coalesce->args) {
      arguments = lappend(arguments, HoistWithin(static_cast<Node*>(lfirst(cell)), hoisting));
      hoisting->conditional = true;
    }
    coalesce->args = arguments;
    node = reinterpret_cast<Node*>(coalesce);
  } else {
    hoisting->conditional = true;
    node = MutateExpression(node, HoistWithin, hoisting);
  }
  hoisting->conditional = conditional;
  return node;
}

Node* HoistWithin(Node* node, Hoisting* hoisting) {
  if (!node) return nullptr;
  if (IsA(node, Query)) return HoistWithinQuery(reinterpret_cast<Query*>(node), hoisting);
  if (IsA(node, Param)) {
    if (reinterpret_cast<Param*>(node)->paramkind == PARAM_EXTERN) return Hoist(node, hoisting);
    return node;
  }
  if (IsA(node, RangeTblFunction))
    return HoistWithinArguments(reinterpret_cast<RangeTblFunction*>(node), hoisting);
  if (IsHoisted(node, hoisting)) return Hoist(node, hoisting);
  if (IsA(node, CaseExpr) || IsA(node, CoalesceExpr)) return HoistWithinArms(node, hoisting);
  return MutateExpression(node, HoistWithin, hoisting);
}

}  // namespace

bool IsSameOnEveryNode(Oid object) { return object < FirstGenbkiObjectId; }

List* HoistParameters(Query* query) {
  Hoisting hoisting;
  hoisting.advances_sequence = AdvancesSequence(reinterpret_cast<Node*>(query), nullptr);
  HoistWithinQuery(query, &hoisting);
  List* parameters = NIL;
  ListCell* cell;
  foreach (cell, hoisting.expressions)
    parameters = lappend(parameters, expression_planner(static_cast<Expr*>(lfirst(cell))));
  return parameters;
}

}  // namespace teamscale

#include "teamscale/postgres/sharding/pin_clause.h"

#include "teamscale/postgres/boundary/tree.h"
#include "teamscale/postgres/sharding/sharded_query.h"

extern "C" {
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "catalog/pg_am.h"
#include "catalog/pg_amop.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "optimizer/optimizer.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace teamscale {

namespace {

// A hash operator family, and a collation where equality depends on it: under all deterministic
// collations texts are equal when their bytes are.
core::Equality MakeEquality(Oid family, Oid collation) {
  if (OidIsValid(collation) && get_collation_isdeterministic(collation)) collation = InvalidOid;
  return (static_cast<core::Equality>(family) << 32) | collation;
}

// The hash family in which the operator is equality, or InvalidOid.
Oid HashFamilyOfEquality(Oid operator_id) {
  Oid family = InvalidOid;
  CatCList* members = SearchSysCacheList1(AMOPOPID, ObjectIdGetDatum(operator_id));
  for (int i = 0; i < members->n_members && !OidIsValid(family); ++i) {
    auto* member = reinterpret_cast<Form_pg_amop>(GETSTRUCT(&members->members[i]->tuple));
    if (member->amopmethod == HASH_AM_OID && member->amopstrategy == HTEqualStrategyNumber)
      family = member->amopfamily;
  }
  ReleaseSysCacheList(members);
  return family;
}

// What an expression that is to pin must not contain.
bool HasWhatCannotPin(Node* node, void* context) {
  if (!node) return false;
  switch (nodeTag(node)) {
    case T_Var:
    case T_SubLink:
    case T_Aggref:
    case T_WindowFunc:
    case T_GroupingFunc:
    case T_SetToDefault:
    case T_NextValueExpr:
    case T_CurrentOfExpr:
    case T_PlaceHolderVar:
      return true;
    case T_Param:
      return castNode(Param, node)->paramkind != PARAM_EXTERN;
    default:
      return WalkExpression(node, HasWhatCannotPin, context);
  }
}

}  // namespace

bool CanPin(Node* expression) {
  return expression && !HasWhatCannotPin(expression, nullptr) &&
         !contain_volatile_functions(expression) && !expression_returns_set(expression);
}

namespace {

bool IsInteger(Oid type) { return type == INT2OID || type == INT4OID || type == INT8OID; }

// A cast between integers gives an equal value or an error.
Node* ArgumentOfIntegerCast(Node* expression) {
  if (!IsA(expression, FuncExpr)) return nullptr;
  auto* cast = castNode(FuncExpr, expression);
  if (cast->funcformat == COERCE_EXPLICIT_CALL || list_length(cast->args) != 1) return nullptr;
  auto* argument = static_cast<Node*>(linitial(cast->args));
  return IsInteger(cast->funcresulttype) && IsInteger(exprType(argument)) ? argument : nullptr;
}

}  // namespace

Node* StripEqualCasts(Node* expression) {
  while (expression) {
    if (IsA(expression, RelabelType))
      expression = reinterpret_cast<Node*>(castNode(RelabelType, expression)->arg);
    else if (Node* argument = ArgumentOfIntegerCast(expression))
      expression = argument;
    else
      break;
  }
  return expression;
}

namespace {

// (SELECT current_setting('app.team')::bigint): how policies have a value computed once.
Node* ValueOfSelect(Node* expression) {
  if (!IsA(expression, SubLink)) return expression;
  auto* sublink = castNode(SubLink, expression);
  auto* query = castNode(Query, sublink->subselect);
  if (sublink->subLinkType != EXPR_SUBLINK || query->commandType != CMD_SELECT || query->rtable ||
      query->cteList || query->setOperations || query->groupClause || query->groupingSets ||
      query->havingQual || query->limitCount || query->limitOffset || query->jointree->quals ||
      list_length(query->targetList) != 1)
    return expression;
  auto* value = reinterpret_cast<Node*>(linitial_node(TargetEntry, query->targetList)->expr);
  return CanPin(value) ? value : expression;
}

}  // namespace

bool ReadPinClause(Node* condition, PinClause* clause) {
  Oid operator_id, collation;
  List* arguments;
  if (IsA(condition, OpExpr)) {
    auto* expression = castNode(OpExpr, condition);
    operator_id = expression->opno;
    collation = expression->inputcollid;
    arguments = expression->args;
    clause->is_array = false;
  } else if (IsA(condition, ScalarArrayOpExpr) && castNode(ScalarArrayOpExpr, condition)->useOr) {
    auto* expression = castNode(ScalarArrayOpExpr, condition);
    operator_id = expression->opno;
    collation = expression->inputcollid;
    arguments = expression->args;
    clause->is_array = true;
  } else {
    return false;
  }
  if (list_length(arguments) != 2) return false;
  Oid family = HashFamilyOfEquality(operator_id);
  if (!OidIsValid(family)) return false;
  clause->left = ValueOfSelect(static_cast<Node*>(linitial(arguments)));
  clause->right = ValueOfSelect(static_cast<Node*>(lsecond(arguments)));
  clause->equality = MakeEquality(family, collation);
  return true;
}

core::Equality EqualityOfKey(const KeyRouter* router) {
  return MakeEquality(KeyHashFamily(router), KeyCollation(router));
}

}  // namespace teamscale

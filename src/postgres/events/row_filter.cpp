#include "teamscale/postgres/events/row_filter.h"

#include <cstring>

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/tree.h"
#include "teamscale/postgres/events/relation_plan.h"

extern "C" {
#include "access/sysattr.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "nodes/bitmapset.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_clause.h"
#include "parser/parse_collate.h"
#include "parser/parse_node.h"
#include "parser/parser.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
}

namespace teamscale {

struct RowFilter {
  EState* estate;
  ExprState* condition;
  TupleTableSlot* slot;
  Bitmapset* columns;
};

namespace {

[[noreturn]] void Refuse(const char* condition, const char* reason) {
  ereport(ERROR,
          (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
           errmsg("the row filter \"%s\" is not supported", condition), errdetail("%s", reason),
           errhint("A row filter compares columns by built-in, immutable functions and operators; "
                   "it has no subquery or aggregate.")));
  pg_unreachable();
}

bool IsUserFunction(Oid function, void*) {
  return function >= FirstNormalObjectId || func_volatile(function) != PROVOLATILE_IMMUTABLE;
}

struct Inspection {
  const char* condition;
};

// The kinds of nodes that a publication's row filter may have.
bool IsSimple(NodeTag tag) {
  switch (tag) {
    case T_Var:
    case T_Const:
    case T_OpExpr:
    case T_DistinctExpr:
    case T_NullIfExpr:
    case T_ScalarArrayOpExpr:
    case T_FuncExpr:
    case T_BoolExpr:
    case T_RelabelType:
    case T_CollateExpr:
    case T_CaseExpr:
    case T_CaseTestExpr:
    case T_ArrayExpr:
    case T_RowExpr:
    case T_CoalesceExpr:
    case T_MinMaxExpr:
    case T_NullTest:
    case T_BooleanTest:
    case T_List:
      return true;
    default:
      return false;
  }
}

bool Inspect(Node* node, Inspection* inspection) {
  if (!node) return false;
  const char* condition = inspection->condition;
  if (!IsSimple(nodeTag(node)))
    Refuse(condition, "It has more than columns, values, operators and functions.");
  if (check_functions_in_node(node, IsUserFunction, nullptr))
    Refuse(condition, "A function or operator in it is not built-in and immutable.");
  if (!IsA(node, List) && exprType(node) >= FirstNormalObjectId)
    Refuse(condition, "A type in it is not built-in.");
  return WalkExpression(node, &Inspect, inspection);
}

bool CollectColumns(Node* node, Bitmapset** columns) {
  if (!node) return false;
  if (IsA(node, Var)) {
    *columns = bms_add_member(
        *columns, reinterpret_cast<Var*>(node)->varattno - FirstLowInvalidHeapAttributeNumber);
    return false;
  }
  return WalkExpression(node, &CollectColumns, columns);
}

// The text is one expression: the grammar that PL/pgSQL uses takes "SELECT" off our hands.
Node* RawExpression(const char* condition) {
  List* raw = raw_parser(condition, RAW_PARSE_PLPGSQL_EXPR);
  auto* statement = castNode(SelectStmt, linitial_node(RawStmt, raw)->stmt);
  if (list_length(statement->targetList) != 1 || statement->fromClause || statement->whereClause ||
      statement->groupClause || statement->havingClause || statement->sortClause ||
      statement->limitCount || statement->distinctClause || statement->withClause)
    Refuse(condition, "It is not one expression.");
  return linitial_node(ResTarget, statement->targetList)->val;
}

// Columns are found in the relation's descriptor and not by a range table entry: that wants a lock
// on the relation, and decoding reads a relation as it was and has none.
Node* ResolveColumn(ParseState* state, ColumnRef* reference) {
  auto* relation = static_cast<Relation>(state->p_ref_hook_state);
  List* names = reference->fields;
  bool qualified = list_length(names) == 2 && IsA(linitial(names), String) &&
                   strcmp(strVal(linitial(names)), RelationGetRelationName(relation)) == 0;
  if (!IsA(llast(names), String) || (list_length(names) != 1 && !qualified)) return nullptr;
  TupleDesc descriptor = RelationGetDescr(relation);
  for (int i = 0; i < descriptor->natts; ++i) {
    Form_pg_attribute column = TupleDescAttr(descriptor, i);
    if (column->attisdropped || strcmp(NameStr(column->attname), strVal(llast(names))) != 0)
      continue;
    return reinterpret_cast<Node*>(
        makeVar(1, column->attnum, column->atttypid, column->atttypmod, column->attcollation, 0));
  }
  return nullptr;
}

}  // namespace

Node* ParseRowCondition(const char* condition, Relation relation) {
  ParseState* state = make_parsestate(nullptr);
  state->p_sourcetext = condition;
  state->p_pre_columnref_hook = ResolveColumn;
  state->p_ref_hook_state = relation;
  Node* expression = transformWhereClause(state, RawExpression(condition), EXPR_KIND_WHERE,
                                          "row filter of an event stream");
  assign_expr_collations(state, expression);
  Inspection inspection = {.condition = condition};
  Inspect(expression, &inspection);
  free_parsestate(state);
  return expression;
}

Bitmapset* ColumnsOfCondition(Node* condition) {
  Bitmapset* columns = nullptr;
  CollectColumns(condition, &columns);
  return columns;
}

RowFilter* MakeRowFilter(const StreamOptions& options, const char* schema, const char* table,
                         Relation relation) {
  const char* condition = EnterFromPostgres([&]() -> const char* {
    std::string text = options.selection->RowFilter(schema, table);
    const char* bytes = text.c_str();
    return text.empty() ? nullptr : CallPostgres([bytes] { return pstrdup(bytes); });
  });
  if (!condition) return nullptr;
  auto* filter = static_cast<RowFilter*>(palloc0(sizeof(RowFilter)));
  Node* expression = ParseRowCondition(condition, relation);
  filter->columns = ColumnsOfCondition(expression);
  filter->estate = CreateExecutorState();
  MemoryContext caller = MemoryContextSwitchTo(filter->estate->es_query_cxt);
  filter->condition = ExecInitExpr(reinterpret_cast<Expr*>(expression_planner(
                                       reinterpret_cast<Expr*>(copyObjectImpl(expression)))),
                                   nullptr);
  filter->slot =
      MakeSingleTupleTableSlot(CreateTupleDescCopy(RelationGetDescr(relation)), &TTSOpsVirtual);
  MemoryContextSwitchTo(caller);
  return filter;
}

bool RowMatches(RowFilter* filter, const RowValues& row) {
  ExprContext* context = GetPerTupleExprContext(filter->estate);
  ResetExprContext(context);
  ExecClearTuple(filter->slot);
  int natts = filter->slot->tts_tupleDescriptor->natts;
  for (int i = 0; i < natts; ++i) {
    filter->slot->tts_values[i] = row.values[i];
    filter->slot->tts_isnull[i] = row.nulls[i];
  }
  ExecStoreVirtualTuple(filter->slot);
  context->ecxt_scantuple = filter->slot;
  bool is_null;
  Datum result = ExecEvalExprSwitchContext(filter->condition, context, &is_null);
  return !is_null && DatumGetBool(result);
}

bool CanJudgeOldRows(const RowFilter* filter, Relation relation) {
  if (relation->rd_rel->relreplident == REPLICA_IDENTITY_FULL) return true;
  Bitmapset* key = RelationGetIndexAttrBitmap(relation, INDEX_ATTR_BITMAP_IDENTITY_KEY);
  return bms_is_subset(filter->columns, key);
}

}  // namespace teamscale

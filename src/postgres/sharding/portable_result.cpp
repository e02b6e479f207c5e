#include "teamscale/postgres/sharding/portable_result.h"

#include "teamscale/postgres/sharding/wire.h"

extern "C" {
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_func.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

bool IsPortable(const TargetEntry* entry) {
  return entry->resjunk || TravelsBinary(exprType(reinterpret_cast<Node*>(entry->expr)));
}

// teamscale.text_form(expression)
Expr* TextForm(Expr* expression) {
  Oid any_element = ANYELEMENTOID;
  static constexpr char kSchema[] = "teamscale";
  static constexpr char kFunction[] = "text_form";
  Oid function =
      LookupFuncName(list_make2(makeString(pstrdup(kSchema)), makeString(pstrdup(kFunction))), 1,
                     &any_element, false);
  return reinterpret_cast<Expr*>(makeFuncExpr(function, TEXTOID, list_make1(expression),
                                              DEFAULT_COLLATION_OID, InvalidOid,
                                              COERCE_EXPLICIT_CALL));
}

void ConvertInPlace(List* targets) {
  ListCell* cell;
  foreach (cell, targets) {
    auto* entry = lfirst_node(TargetEntry, cell);
    if (!IsPortable(entry)) entry->expr = TextForm(entry->expr);
  }
}

// Whether the text form would be grouped or sorted by in the place of the value.
bool IsReferenced(const Query* query) {
  if (query->setOperations || query->distinctClause) return true;
  ListCell* cell;
  foreach (cell, query->targetList) {
    auto* entry = lfirst_node(TargetEntry, cell);
    if (!IsPortable(entry) && entry->ressortgroupref != 0) return true;
  }
  return false;
}

// SELECT the columns, converted, FROM the query.
Query* ConvertAround(Query* query) {
  if (query->hasModifyingCTE)
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("WITH that modifies data cannot return sorted or grouped values of this "
                           "type from another node"),
                    errhint("Cast the column to text.")));
  auto* entry = makeNode(RangeTblEntry);
  entry->rtekind = RTE_SUBQUERY;
  entry->subquery = query;
  entry->inFromCl = true;
  auto* reference = makeNode(RangeTblRef);
  reference->rtindex = 1;
  auto* outer = makeNode(Query);
  outer->commandType = CMD_SELECT;
  outer->canSetTag = true;
  outer->rtable = list_make1(entry);
  outer->jointree = makeFromExpr(list_make1(reference), nullptr);
  List* names = NIL;
  ListCell* cell;
  foreach (cell, query->targetList) {
    auto* column = lfirst_node(TargetEntry, cell);
    if (column->resjunk) continue;
    char* name = psprintf("column%d", column->resno);
    names = lappend(names, makeString(name));
    outer->targetList =
        lappend(outer->targetList,
                makeTargetEntry(reinterpret_cast<Expr*>(makeVarFromTargetEntry(1, column)),
                                column->resno, name, false));
  }
  entry->alias = makeAlias("result", names);
  entry->eref = makeAlias("result", names);
  ConvertInPlace(outer->targetList);
  return outer;
}

}  // namespace

Query* MakeResultPortable(Query* query) {
  List* result = query->commandType == CMD_SELECT ? query->targetList : query->returningList;
  bool is_portable = true;
  ListCell* cell;
  foreach (cell, result) is_portable &= IsPortable(lfirst_node(TargetEntry, cell));
  if (is_portable) return query;
  if (query->commandType == CMD_SELECT && IsReferenced(query)) return ConvertAround(query);
  ConvertInPlace(result);
  return query;
}

}  // namespace teamscale

#include "teamscale/postgres/boundary/tree.h"
#include "teamscale/postgres/sharding/statement_repair.h"

extern "C" {
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
}

namespace teamscale {

namespace {

// The source of INSERT ... SELECT or of VALUES with several rows; 0 for VALUES with one, whose
// expressions are in the target list itself.
Index SourceIndex(const Query* query) {
  ListCell* cell;
  foreach (cell, query->jointree->fromlist) {
    if (!IsA(lfirst(cell), RangeTblRef)) continue;
    Index index = lfirst_node(RangeTblRef, cell)->rtindex;
    RangeTblEntry* entry = rt_fetch(index, query->rtable);
    if (entry->rtekind == RTE_SUBQUERY || entry->rtekind == RTE_VALUES) return index;
  }
  return 0;
}

int CountColumns(const RangeTblEntry* source) {
  if (source->rtekind == RTE_VALUES) return list_length(linitial_node(List, source->values_lists));
  int count = 0;
  ListCell* cell;
  foreach (cell, source->subquery->targetList)
    if (!lfirst_node(TargetEntry, cell)->resjunk) ++count;
  return count;
}

// Whether the n-th target takes the n-th column of the source. Coercions to the column's type are
// not printed; the other node makes them again.
bool IsAligned(const Query* query, Index source) {
  int column = 0;
  ListCell* cell;
  foreach (cell, query->targetList) {
    auto* entry = lfirst_node(TargetEntry, cell);
    if (entry->resjunk) continue;
    auto* expression = reinterpret_cast<Node*>(entry->expr);
    Node* value = strip_implicit_coercions(*AssignedValue(&expression));
    if (!value || !IsA(value, Var)) return false;
    auto* var = reinterpret_cast<Var*>(value);
    if (static_cast<Index>(var->varno) != source || var->varlevelsup != 0 ||
        var->varattno != ++column)
      return false;
  }
  return column == CountColumns(rt_fetch(source, query->rtable));
}

// SELECT FROM the source, without columns yet.
Query* SelectFrom(const RangeTblEntry* source) {
  auto* inner = static_cast<RangeTblEntry*>(copyObjectImpl(source));
  auto* content = inner->rtekind == RTE_SUBQUERY ? reinterpret_cast<Node*>(inner->subquery)
                                                 : reinterpret_cast<Node*>(inner->values_lists);
  IncrementVarSublevelsUp(content, 1, 1);
  inner->eref->aliasname = pstrdup("source");
  inner->alias = static_cast<Alias*>(copyObjectImpl(inner->eref));
  inner->lateral = false;
  inner->inFromCl = true;

  auto* reference = makeNode(RangeTblRef);
  reference->rtindex = 1;
  auto* select = makeNode(Query);
  select->commandType = CMD_SELECT;
  select->canSetTag = true;
  select->rtable = list_make1(inner);
  select->jointree = makeFromExpr(list_make1(reference), nullptr);
  return select;
}

}  // namespace

void AlignInsertSource(Query* query) {
  Index source = SourceIndex(query);
  if (source == 0 || !query->targetList || IsAligned(query, source)) return;

  Query* select = SelectFrom(rt_fetch(source, query->rtable));
  List* names = NIL;
  AttrNumber column = 0;
  ListCell* cell;
  foreach (cell, query->targetList) {
    auto* entry = lfirst_node(TargetEntry, cell);
    if (entry->resjunk) continue;
    Node** place = AssignedValue(reinterpret_cast<Node**>(&entry->expr));
    auto* value = static_cast<Node*>(copyObjectImpl(*place));
    ChangeVarNodes(value, source, 1, 0);
    select->hasSubLinks |= checkExprHasSubLink(value);
    // Not column1, ...: the deparser takes a SELECT of just these for the bare VALUES below it.
    char* name = psprintf("value%d", ++column);
    select->targetList = lappend(
        select->targetList, makeTargetEntry(reinterpret_cast<Expr*>(value), column, name, false));
    names = lappend(names, makeString(name));
    *place = reinterpret_cast<Node*>(
        makeVar(source, column, exprType(value), exprTypmod(value), exprCollation(value), 0));
  }

  auto* entry = makeNode(RangeTblEntry);
  entry->rtekind = RTE_SUBQUERY;
  entry->subquery = select;
  entry->alias = makeAlias("*SELECT*", NIL);
  entry->eref = makeAlias("*SELECT*", names);
  list_nth_cell(query->rtable, source - 1)->ptr_value = entry;
}

}  // namespace teamscale

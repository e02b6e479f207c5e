#include "teamscale/postgres/sharding/statement_repair.h"

extern "C" {
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
}

namespace teamscale {

namespace {

bool IsSortKey(const Query* query, const TargetEntry* entry) {
  return entry->ressortgroupref != 0 &&
         (get_sortgroupref_clause_noerr(entry->ressortgroupref, query->sortClause) ||
          (query->hasDistinctOn &&
           get_sortgroupref_clause_noerr(entry->ressortgroupref, query->distinctClause)));
}

// Whether an output column has the name of the column that the key is, and is something else.
bool IsHidden(const Query* query, const TargetEntry* key) {
  auto* column = reinterpret_cast<Var*>(key->expr);
  if (column->varlevelsup != 0) return true;
  char* name = get_rte_attribute_name(rt_fetch(column->varno, query->rtable), column->varattno);
  ListCell* cell;
  foreach (cell, query->targetList) {
    auto* entry = lfirst_node(TargetEntry, cell);
    if (!entry->resjunk && entry->resname && strcmp(entry->resname, name) == 0 &&
        !equal(entry->expr, key->expr))
      return true;
  }
  return false;
}

}  // namespace

// The deparser prints such a key as a bare name where it can. A name by itself means an output
// column first; in a cast, even to the type that it has, it means the column that was meant.
void RepairSortKeys(Query* query) {
  if (query->setOperations) return;  // sorted by column numbers
  ListCell* cell;
  foreach (cell, query->targetList) {
    auto* entry = lfirst_node(TargetEntry, cell);
    if (!IsA(entry->expr, Var) || !IsSortKey(query, entry) || !IsHidden(query, entry)) continue;
    auto* column = reinterpret_cast<Var*>(entry->expr);
    entry->expr = reinterpret_cast<Expr*>(
        makeRelabelType(entry->expr, column->vartype, -1, column->varcollid, COERCE_EXPLICIT_CAST));
  }
}

}  // namespace teamscale

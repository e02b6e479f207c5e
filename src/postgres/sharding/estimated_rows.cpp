// How many rows a distribution has to move, without counting them.

#include "teamscale/postgres/boundary/sql_function.h"

extern "C" {
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "optimizer/plancat.h"
#include "utils/rel.h"
}

namespace teamscale {

namespace {

double EstimatedRows(Oid relation_oid) {
  Relation relation = table_open(relation_oid, AccessShareLock);
  double rows = 0;
  if (relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE) {
    ListCell* cell;
    foreach (cell, find_inheritance_children(relation_oid, AccessShareLock))
      rows += EstimatedRows(lfirst_oid(cell));
  } else if (RELKIND_HAS_TABLE_AM(relation->rd_rel->relkind)) {
    BlockNumber pages;
    double all_visible;
    estimate_rel_size(relation, nullptr, &pages, &rows, &all_visible);
  }
  table_close(relation, NoLock);
  return rows;
}

}  // namespace

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_estimated_rows) {
  PG_RETURN_INT64(static_cast<int64>(teamscale::EstimatedRows(PG_GETARG_OID(0))));
}

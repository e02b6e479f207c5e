#include "teamscale/postgres/cluster/cluster_row.h"

#include "teamscale/postgres/cluster/catalog.h"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/uuid.h"
}

namespace teamscale {

namespace {

constexpr int kClusterId = 2;
constexpr int kSettlingRole = 4;

Datum Column(HeapTuple tuple, Relation relation, int number) {
  bool is_null;
  return heap_getattr(tuple, number, RelationGetDescr(relation), &is_null);
}

}  // namespace

ClusterRow ReadClusterRow() {
  Relation relation = table_open(CatalogRelation(CatalogTable::kCluster), AccessShareLock);
  SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, nullptr, 0, nullptr);
  ClusterRow row;
  if (HeapTuple tuple = systable_getnext(scan)) {
    row.id = DatumGetCString(DirectFunctionCall1(uuid_out, Column(tuple, relation, kClusterId)));
    row.settling_role = pstrdup(NameStr(*DatumGetName(Column(tuple, relation, kSettlingRole))));
  }
  systable_endscan(scan);
  table_close(relation, AccessShareLock);
  return row;
}

}  // namespace teamscale

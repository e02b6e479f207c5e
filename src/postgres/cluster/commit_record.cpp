#include "teamscale/postgres/cluster/commit_record.h"

#include "teamscale/postgres/cluster/catalog.h"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"
}

namespace teamscale {

const char* ClusterId() {
  Relation relation = table_open(CatalogRelation(CatalogTable::kCluster), AccessShareLock);
  SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, nullptr, 0, nullptr);
  const char* id = "";
  if (HeapTuple tuple = systable_getnext(scan)) {
    bool is_null;
    Datum value = heap_getattr(tuple, 2, RelationGetDescr(relation), &is_null);
    id = DatumGetCString(DirectFunctionCall1(uuid_out, value));
  }
  systable_endscan(scan);
  table_close(relation, AccessShareLock);
  return id;
}

// A heap insert as of a system catalog: it needs no privilege, fires nothing, and is allowed where
// this is called, just before the commit.
void InsertCommitRecord(const char* gid, core::NodeId node) {
  Relation relation = table_open(CatalogRelation(CatalogTable::kCommitRecord), RowExclusiveLock);
  Datum values[] = {CStringGetTextDatum(gid), Int32GetDatum(node),
                    TimestampTzGetDatum(GetCurrentTransactionStartTimestamp())};
  bool nulls[] = {false, false, false};
  HeapTuple tuple = heap_form_tuple(RelationGetDescr(relation), values, nulls);
  CatalogTupleInsert(relation, tuple);
  table_close(relation, NoLock);
}

}  // namespace teamscale

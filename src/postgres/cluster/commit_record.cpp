#include "teamscale/postgres/cluster/commit_record.h"

#include <algorithm>
#include <cstring>

#include "teamscale/postgres/cluster/catalog.h"

extern "C" {
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/indexing.h"
#include "catalog/pg_type.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
}

namespace teamscale {

namespace {

// Columns of commit_record.
constexpr int kGid = 1;
constexpr int kNode = 2;

Datum Column(HeapTuple tuple, Relation relation, int number) {
  bool is_null;
  return heap_getattr(tuple, number, RelationGetDescr(relation), &is_null);
}

// Calls visit(tuple) for each record that the snapshot sees.
template <typename F>
void ForEachRecord(Relation relation, ::Snapshot snapshot, F&& visit) {
  TableScanDesc scan = table_beginscan(relation, snapshot, 0, nullptr);
  while (HeapTuple tuple = heap_getnext(scan, ForwardScanDirection)) visit(tuple);
  table_endscan(scan);
}

char* GidOf(HeapTuple tuple, Relation relation) {
  return TextDatumGetCString(Column(tuple, relation, kGid));
}

}  // namespace

// A heap insert as of a system catalog: it needs no privilege, fires nothing, and is allowed where
// this is called, just before the commit.
void InsertCommitRecord(const char* gid, core::NodeId node) {
  Relation relation = table_open(CatalogRelation(CatalogTable::kCommitRecord), RowExclusiveLock);
  Datum values[] = {CStringGetTextDatum(gid), Int32GetDatum(node),
                    TimestampTzGetDatum(GetCurrentTransactionStartTimestamp())};
  bool nulls[] = {false, false, false};
  HeapTuple tuple = heap_form_tuple(RelationGetDescr(relation), values, nulls);
  // The statement's own snapshot is gone by now, and an insert must run under one.
  PushActiveSnapshot(GetTransactionSnapshot());
  CatalogTupleInsert(relation, tuple);
  PopActiveSnapshot();
  table_close(relation, NoLock);
}

RecordsAtSnapshot ReadCommitRecords() {
  RecordsAtSnapshot read{};
  Relation relation = table_open(CatalogRelation(CatalogTable::kCommitRecord), AccessShareLock);
  PushActiveSnapshot(GetLatestSnapshot());
  // After the snapshot: a record that it sees was flushed before it became visible.
  read.position = GetFlushRecPtr(nullptr);
  // Through the types' functions, as SQL prints it: pg_snapshot has no C interface.
  Oid print;
  bool is_varlena;
  getTypeOutputInfo(PG_SNAPSHOTOID, &print, &is_varlena);
  read.snapshot = OidOutputFunctionCall(print, OidFunctionCall0(F_PG_CURRENT_SNAPSHOT));
  int capacity = 16;
  read.gids = static_cast<const char**>(palloc(capacity * sizeof(char*)));
  read.nodes = static_cast<core::NodeId*>(palloc(capacity * sizeof(core::NodeId)));
  ForEachRecord(relation, GetActiveSnapshot(), [&](HeapTuple tuple) {
    if (read.count == capacity) {
      capacity *= 2;
      read.gids = static_cast<const char**>(repalloc(read.gids, capacity * sizeof(char*)));
      read.nodes =
          static_cast<core::NodeId*>(repalloc(read.nodes, capacity * sizeof(core::NodeId)));
    }
    read.gids[read.count] = GidOf(tuple, relation);
    read.nodes[read.count++] = DatumGetInt32(Column(tuple, relation, kNode));
  });
  PopActiveSnapshot();
  table_close(relation, AccessShareLock);
  return read;
}

void DeleteCommitRecords(const char* const* gids, std::size_t count) {
  Oid id = CatalogRelation(CatalogTable::kCommitRecord);
  // Conflicts with itself, not with the inserts of commits.
  if (!ConditionalLockRelationOid(id, ShareUpdateExclusiveLock)) return;
  Relation relation = table_open(id, NoLock);
  PushActiveSnapshot(GetLatestSnapshot());
  auto precedes = [](const char* a, const char* b) { return std::strcmp(a, b) < 0; };
  ForEachRecord(relation, GetActiveSnapshot(), [&](HeapTuple tuple) {
    char* gid = GidOf(tuple, relation);
    if (std::binary_search(gids, gids + count, gid, precedes))
      CatalogTupleDelete(relation, &tuple->t_self);
    pfree(gid);
  });
  PopActiveSnapshot();
  // The lock stays until the commit: until then the rows are there for others.
  table_close(relation, NoLock);
}

char* QuoteGid(const char* gid) { return quote_literal_cstr(gid); }

}  // namespace teamscale

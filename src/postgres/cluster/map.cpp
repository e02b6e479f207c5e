#include "teamscale/postgres/cluster/map.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "teamscale/core/sharding/bucket_hash.h"
#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/cluster/catalog.h"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
}

namespace teamscale {

namespace {

// The backend's map. Maps that were replaced within a transaction live until its end, because
// callers hold plain pointers.
struct Backend {
  bool valid = false;
  std::uint64_t version = 0;
  std::unique_ptr<const core::ShardMap> map;        // null: this database is no node of a cluster
  TransactionId changed_by = InvalidTransactionId;  // the transaction that gave the map its epoch
  std::vector<std::unique_ptr<const core::ShardMap>> retired;
};

Backend& TheBackend() {
  static Backend backend;
  return backend;
}

// --- Reading the catalog: plain dialect
// -----------------------------------------------------------

// A row's columns as they are in the catalog tables, at most this many.
constexpr int kMaxColumns = 8;
struct Row {
  TransactionId written_by;
  Datum values[kMaxColumns];
  bool nulls[kMaxColumns];

  int32 Integer(int column) const { return DatumGetInt32(values[column]); }
  const char* Text(int column) const {
    return nulls[column] ? "" : TextDatumGetCString(values[column]);
  }
};

// All rows of a catalog table under the snapshot given, or the newest (which sees this
// transaction's own changes).
List* ReadTable(CatalogTable table, Snapshot snapshot = nullptr) {
  Relation relation = table_open(CatalogRelation(table), AccessShareLock);
  TupleDesc descriptor = RelationGetDescr(relation);
  Assert(descriptor->natts <= kMaxColumns);
  SysScanDesc scan = systable_beginscan(relation, InvalidOid, false, snapshot, 0, nullptr);
  List* rows = NIL;
  while (HeapTuple tuple = systable_getnext(scan)) {
    auto* row = static_cast<Row*>(palloc0(sizeof(Row)));
    row->written_by = HeapTupleHeaderGetXmin(tuple->t_data);
    heap_deform_tuple(heap_copytuple(tuple), descriptor, row->values, row->nulls);
    rows = lappend(rows, row);
  }
  systable_endscan(scan);
  table_close(relation, AccessShareLock);
  return rows;
}

// The values of a list bucket in their text form, and the extended hash of each.
struct ListValues {
  int count;
  const char** texts;
  uint64* hashes;
};

ListValues ReadListValues(Datum texts, Oid key_type, Oid collation) {
  TypeCacheEntry* type = lookup_type_cache(key_type, TYPECACHE_HASH_EXTENDED_PROC_FINFO);
  if (!OidIsValid(type->hash_extended_proc))
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
                    errmsg("type %s has no extended hash function", format_type_be(key_type))));
  Oid input, io_parameter;
  getTypeInputInfo(key_type, &input, &io_parameter);
  Datum* elements;
  ListValues list{};
  deconstruct_array(DatumGetArrayTypeP(texts), TEXTOID, -1, false, TYPALIGN_INT, &elements, nullptr,
                    &list.count);
  list.texts = static_cast<const char**>(palloc(sizeof(char*) * (list.count + 1)));
  list.hashes = static_cast<uint64*>(palloc(sizeof(uint64) * (list.count + 1)));
  for (int i = 0; i < list.count; ++i) {
    char* form = TextDatumGetCString(elements[i]);
    Datum value = OidInputFunctionCall(input, form, io_parameter, -1);
    list.texts[i] = form;
    list.hashes[i] = DatumGetUInt64(FunctionCall2Coll(&type->hash_extended_proc_finfo, collation,
                                                      value, UInt64GetDatum(core::kPartitionSeed)));
  }
  return list;
}

struct RawCatalog {
  int64 epoch;
  int32 local_node;
  List* nodes;
  List* groups;
  List* buckets;
  List* placements;
  List* tables;
};

// False also while DROP EXTENSION takes the tables away one by one.
bool HasCatalog() {
  for (int i = 0; i < static_cast<int>(CatalogTable::kCount); ++i) {
    Oid relation = CatalogRelation(static_cast<CatalogTable>(i));
    if (!OidIsValid(relation) || !SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relation)))
      return false;
  }
  return true;
}

// Null when this database is no node of a cluster.
RawCatalog* ReadCatalog() {
  if (!HasCatalog()) return nullptr;
  List* cluster = ReadTable(CatalogTable::kCluster);
  List* local_node = ReadTable(CatalogTable::kLocalNode);
  if (cluster == NIL || local_node == NIL) return nullptr;
  auto* raw = static_cast<RawCatalog*>(palloc(sizeof(RawCatalog)));
  raw->epoch = DatumGetInt64(static_cast<Row*>(linitial(cluster))->values[2]);
  TheBackend().changed_by = static_cast<Row*>(linitial(cluster))->written_by;
  raw->local_node = static_cast<Row*>(linitial(local_node))->Integer(1);
  raw->nodes = ReadTable(CatalogTable::kNode);
  raw->groups = ReadTable(CatalogTable::kColocationGroup);
  raw->buckets = ReadTable(CatalogTable::kBucket);
  raw->placements = ReadTable(CatalogTable::kPlacement);
  raw->tables = ReadTable(CatalogTable::kShardedTable);
  return raw;
}

// The row of a bucket's colocation group, or null.
const Row* GroupOf(const RawCatalog& raw, const Row& bucket) {
  for (int i = 0; i < list_length(raw.groups); ++i) {
    auto* row = static_cast<const Row*>(list_nth(raw.groups, i));
    if (row->Integer(0) == bucket.Integer(1)) return row;
  }
  return nullptr;
}

ListValues ListValuesOfBucket(const RawCatalog* raw, const Row* bucket) {
  if (bucket->nulls[4]) return {};
  const Row* group = GroupOf(*raw, *bucket);
  Oid collation = group->nulls[3] ? InvalidOid : DatumGetObjectId(group->values[3]);
  return ReadListValues(bucket->values[4], DatumGetObjectId(group->values[2]), collation);
}

// --- Building the map: guarded dialect
// ------------------------------------------------------------

template <typename F>
void ForEachRow(List* rows, F&& visit) {
  for (int i = 0; i < list_length(rows); ++i) visit(*static_cast<const Row*>(list_nth(rows, i)));
}

std::unique_ptr<const core::ShardMap> Build(const RawCatalog& raw) {
  auto text = [](const Row& row, int column) {
    return std::string(CallPostgres([&] { return row.Text(column); }));
  };
  std::vector<core::Node> nodes;
  ForEachRow(raw.nodes, [&](const Row& row) {
    nodes.push_back({.id = row.Integer(0),
                     .name = text(row, 1),
                     .conninfo = text(row, 2),
                     .region = text(row, 3),
                     .state = text(row, 4) == "active" ? core::NodeState::kActive
                                                       : core::NodeState::kDisabled});
  });
  std::vector<core::Group> groups;
  ForEachRow(raw.groups, [&](const Row& row) {
    groups.push_back(
        {.id = row.Integer(0),
         .method = text(row, 1) == "list" ? core::Method::kList : core::Method::kHash});
  });
  boost::unordered_flat_map<core::BucketId, core::NodeId> placement;
  ForEachRow(raw.placements, [&](const Row& row) { placement[row.Integer(0)] = row.Integer(1); });
  // A catalog that is just being written, by a change of it or a restore, is not whole. Its tables
  // are sharded all the same: of a bucket that is not complete yet nobody gets an answer.
  auto has = [](const auto& items, std::int32_t id) {
    return std::any_of(items.begin(), items.end(),
                       [id](const auto& item) { return item.id == id; });
  };
  std::vector<core::Table> tables;
  ForEachRow(raw.tables, [&](const Row& row) {
    tables.push_back({.id = row.Integer(0),
                      .relation = DatumGetObjectId(row.values[1]),
                      .group = row.Integer(2)});
    if (!has(groups, tables.back().group)) groups.push_back({.id = tables.back().group});
  });
  std::vector<core::Bucket> buckets;
  ForEachRow(raw.buckets, [&](const Row& row) {
    auto place = placement.find(row.Integer(0));
    if (place == placement.end() || !has(nodes, place->second) || !GroupOf(raw, row)) return;
    core::Bucket bucket;
    bucket.id = row.Integer(0);
    bucket.group = row.Integer(1);
    bucket.node = place->second;
    if (!row.nulls[2]) bucket.modulus = static_cast<std::uint32_t>(row.Integer(2));
    if (!row.nulls[3]) bucket.remainder = static_cast<std::uint32_t>(row.Integer(3));
    ListValues list = CallPostgres([&] { return ListValuesOfBucket(&raw, &row); });
    bucket.values.assign(list.texts, list.texts + list.count);
    bucket.value_hashes.assign(list.hashes, list.hashes + list.count);
    buckets.push_back(std::move(bucket));
  });
  return std::make_unique<const core::ShardMap>(raw.epoch, raw.local_node, std::move(nodes),
                                                std::move(groups), std::move(buckets),
                                                std::move(tables));
}

// --- Validity
// -------------------------------------------------------------------------------------

void OnRelcacheInvalidation(Datum, Oid relation) {
  if (!OidIsValid(relation) || IsCatalogRelation(relation)) TheBackend().valid = false;
}

// A map of a database without the extension is the null map: CREATE EXTENSION ends that.
void OnNamespaceInvalidation(Datum, int, uint32) { TheBackend().valid = false; }

void OnTransactionEnd(XactEvent event, void*) {
  if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
    TheBackend().retired.clear();
}

}  // namespace

void InitShardMap() {
  CacheRegisterRelcacheCallback(OnRelcacheInvalidation, Datum{0});
  CacheRegisterSyscacheCallback(NAMESPACEOID, OnNamespaceInvalidation, Datum{0});
  RegisterXactCallback(OnTransactionEnd, nullptr);
}

const core::ShardMap* CurrentShardMap() {
  if (TheBackend().valid) return TheBackend().map.get();

  MemoryContext scratch =
      AllocSetContextCreate(CurrentMemoryContext, "teamscale shard map", ALLOCSET_DEFAULT_SIZES);
  MemoryContext caller = MemoryContextSwitchTo(scratch);
  // Set before reading: a message that arrives meanwhile makes the result stale again, and the next
  // caller reads once more.
  TheBackend().valid = true;
  PG_TRY();
  {
    RawCatalog* raw = ReadCatalog();
    EnterFromPostgres([&] {
      Backend& backend = TheBackend();
      ++backend.version;
      if (backend.map) backend.retired.push_back(std::move(backend.map));
      backend.map = raw ? Build(*raw) : nullptr;
    });
  }
  PG_CATCH();
  {
    TheBackend().valid = false;
    PG_RE_THROW();
  }
  PG_END_TRY();
  MemoryContextSwitchTo(caller);
  MemoryContextDelete(scratch);
  return TheBackend().map.get();
}

bool SnapshotHasShardedTable(Snapshot snapshot, Oid relation) {
  // Every change of the catalog writes the row that has the epoch.
  TransactionId changed_by = TheBackend().changed_by;
  if (!TransactionIdIsNormal(changed_by) || TransactionIdIsCurrentTransactionId(changed_by) ||
      !XidInMVCCSnapshot(changed_by, snapshot))
    return true;
  ListCell* cell;
  foreach (cell, ReadTable(CatalogTable::kShardedTable, snapshot))
    if (DatumGetObjectId(static_cast<Row*>(lfirst(cell))->values[1]) == relation) return true;
  return false;
}

std::uint64_t ShardMapVersion() { return TheBackend().version; }

void InvalidateShardMap(Oid relation) {
  if (OidIsValid(CatalogRelation(CatalogTable::kCluster)))
    CacheInvalidateRelcacheByRelid(CatalogRelation(CatalogTable::kCluster));
  if (OidIsValid(relation)) CacheInvalidateRelcacheByRelid(relation);
  TheBackend().valid = false;
}

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_invalidate_map) {
  teamscale::InvalidateShardMap(InvalidOid);
  PG_RETURN_POINTER(nullptr);
}

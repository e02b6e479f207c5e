// Brings the rows of a sharded table, this node's and the other nodes', into a plain table here.

#include "teamscale/postgres/boundary/acting_role.h"
#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/cluster/catalog_change.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/remote.h"
#include "teamscale/postgres/sharding/distribution_progress.h"
#include "teamscale/postgres/sharding/wire.h"

extern "C" {
#include "access/attmap.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/tupconvert.h"
#include "access/xact.h"
#include "catalog/pg_inherits.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

namespace teamscale {

namespace {

// The target while it is written to: it has neither index nor trigger yet. Plain dialect: trivially
// destructible.
struct Target {
  Relation relation;
  TupleTableSlot* slot;
  BulkInsertState bulk;
  RowReader* reader;
  MemoryContext row_context;
};

Target OpenTarget(Oid relation) {
  Target target;
  target.relation = table_open(relation, AccessExclusiveLock);
  target.slot = table_slot_create(target.relation, nullptr);
  target.bulk = GetBulkInsertState();
  target.reader = RowReader::Make(RelationGetDescr(target.relation));
  target.row_context = AllocSetContextCreate(CurrentMemoryContext, "teamscale collected row",
                                             ALLOCSET_DEFAULT_SIZES);
  return target;
}

void CloseTarget(Target* target) {
  FreeBulkInsertState(target->bulk);
  table_finish_bulk_insert(target->relation, 0);
  ExecDropSingleTupleTableSlot(target->slot);
  MemoryContextDelete(target->row_context);
  table_close(target->relation, NoLock);
}

// The row is in the target's slot, its values in the row's context.
void Store(Target* target, TupleTableSlot* row) {
  table_tuple_insert(target->relation, row, GetCurrentCommandId(true), 0, target->bulk);
  ExecClearTuple(row);
  CountMovedRow();
}

// --- This node's rows ----------------------------------------------------------------------------

// As they are, generated columns and values that no longer pass a constraint too. Value by value: a
// tuple that is older than a column lacks that column's default.
void StoreLeaf(Target* target, Oid leaf_oid) {
  Relation leaf = table_open(leaf_oid, AccessExclusiveLock);
  TupleTableSlot* slot = table_slot_create(leaf, nullptr);
  AttrMap* map = build_attrmap_by_name(RelationGetDescr(leaf), RelationGetDescr(target->relation));
  TableScanDesc scan = table_beginscan(leaf, GetActiveSnapshot(), 0, nullptr);
  while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
    CHECK_FOR_INTERRUPTS();
    MemoryContext caller = MemoryContextSwitchTo(target->row_context);
    Store(target, execute_attr_map_slot(map, slot, target->slot));
    MemoryContextSwitchTo(caller);
    MemoryContextReset(target->row_context);
  }
  table_endscan(scan);
  ExecDropSingleTupleTableSlot(slot);
  table_close(leaf, NoLock);
}

void StoreLocalRows(Target* target, Oid source) {
  // The caller's statement began before the table was locked.
  PushActiveSnapshot(GetTransactionSnapshot());
  ListCell* cell;
  foreach (cell, find_inheritance_children(source, AccessExclusiveLock))
    StoreLeaf(target, lfirst_oid(cell));
  PopActiveSnapshot();
}

// --- The other nodes' ----------------------------------------------------------------------------

void StoreRemoteRow(Target* target, const PGresult* result, int row) {
  MemoryContext caller = MemoryContextSwitchTo(target->row_context);
  ExecClearTuple(target->slot);
  target->reader->Read(result, row, target->slot->tts_values, target->slot->tts_isnull);
  ExecStoreVirtualTuple(target->slot);
  Store(target, target->slot);
  MemoryContextSwitchTo(caller);
  MemoryContextReset(target->row_context);
}

class StoreRows : public RowSink {
 public:
  explicit StoreRows(Target* target) : target_(target) {}
  void Row(core::NodeId, const PGresult* result, int row) override {
    Target* target = target_;
    CallPostgres([=] { StoreRemoteRow(target, result, row); });
  }

 private:
  Target* target_;
};

// Every column, generated ones too.
char* SelectStatement(Relation target, const char* source) {
  StringInfoData sql;
  initStringInfo(&sql);
  TupleDesc columns = RelationGetDescr(target);
  for (int i = 0; i < columns->natts; ++i) {
    Form_pg_attribute column = TupleDescAttr(columns, i);
    if (column->attisdropped) continue;
    appendStringInfo(&sql, "%s%s", sql.len ? ", " : "SELECT ",
                     quote_identifier(NameStr(column->attname)));
  }
  appendStringInfo(&sql, "%s FROM %s", sql.len ? "" : "SELECT", source);
  return sql.data;
}

void Gather(Target* target, const char* sql) {
  core::NodeId local = CallPostgres([] { return CurrentShardMap(); })->local_node();
  StoreRows sink(target);
  for (core::NodeId node : ActiveNodes())
    if (node != local) ExecuteOnNode(node, {.sql = sql, .effect = Effect::kReads}, &sink);
}

}  // namespace

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_collect_rows) {
  using namespace teamscale;
  Oid source_here = PG_GETARG_OID(0);
  const char* source_there = text_to_cstring(PG_GETARG_TEXT_PP(1));
  Target target = OpenTarget(PG_GETARG_OID(2));
  StoreLocalRows(&target, source_here);
  const char* sql = SelectStatement(target.relation, source_there);
  AsRole(ActingRole(), [&] { EnterFromPostgres([&] { Gather(&target, sql); }); });
  CloseTarget(&target);
  PG_RETURN_VOID();
}

// Brings the other nodes' rows of a sharded table into a table of this node.

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/cluster/catalog_change.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/remote.h"
#include "teamscale/postgres/sharding/wire.h"

extern "C" {
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
}

namespace teamscale {

namespace {

// The target while it is written to. Plain dialect: trivially destructible.
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
  target.row_context =
      AllocSetContextCreate(CurrentMemoryContext, "teamscale gathered row", ALLOCSET_DEFAULT_SIZES);
  return target;
}

void CloseTarget(Target* target) {
  FreeBulkInsertState(target->bulk);
  table_finish_bulk_insert(target->relation, 0);
  ExecDropSingleTupleTableSlot(target->slot);
  MemoryContextDelete(target->row_context);
  table_close(target->relation, NoLock);
}

void Store(Target* target, const PGresult* result, int row) {
  MemoryContext caller = MemoryContextSwitchTo(target->row_context);
  ExecClearTuple(target->slot);
  target->reader->Read(result, row, target->slot->tts_values, target->slot->tts_isnull);
  ExecStoreVirtualTuple(target->slot);
  table_tuple_insert(target->relation, target->slot, GetCurrentCommandId(true), 0, target->bulk);
  MemoryContextSwitchTo(caller);
  MemoryContextReset(target->row_context);
}

class StoreRows : public RowSink {
 public:
  explicit StoreRows(Target* target) : target_(target) {}
  void Row(core::NodeId, const PGresult* result, int row) override {
    Target* target = target_;
    CallPostgres([=] { Store(target, result, row); });
  }

 private:
  Target* target_;
};

// Every column, generated ones too, as text: the session's formats are the same on both sides.
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
  appendStringInfo(&sql, " FROM %s", source);
  return sql.data;
}

std::uint64_t Gather(Target* target, const char* sql) {
  core::NodeId local = CallPostgres([] { return CurrentShardMap(); })->local_node();
  StoreRows sink(target);
  std::uint64_t rows = 0;
  for (core::NodeId node : ActiveNodes())
    if (node != local)
      rows += ExecuteOnNode(node, {.sql = sql, .effect = Effect::kReads}, &sink).rows;
  return rows;
}

}  // namespace

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_gather_rows) {
  using namespace teamscale;
  const char* source = text_to_cstring(PG_GETARG_TEXT_PP(0));
  Target target = OpenTarget(PG_GETARG_OID(1));
  const char* sql = SelectStatement(target.relation, source);
  std::uint64_t rows = EnterFromPostgres([&] { return Gather(&target, sql); });
  CloseTarget(&target);
  PG_RETURN_INT64(static_cast<int64>(rows));
}

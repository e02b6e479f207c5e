// What the mirror does for each row. Plain dialect.
//
// It does not replay the change: triggers of one statement may fire after those of a statement
// within it, which came later. It makes the destination's row of the key what the source's row of
// the key is at this moment, or takes it away; done for each key that was touched, in any order,
// that leaves both alike.
//
// All looks are through the newest snapshot, whatever the transaction's isolation: rows that were
// copied since its own snapshot must be found. Nobody else changes a row of these keys meanwhile,
// in either table: the writer holds the source's row, and the copy locks rows before it copies.
//
// Rows are written by the executor's own routines, as the writer, with no look at privileges and
// row security: they are the source's rows. Constraint triggers of the destination are queued with
// those of the writer's statement and fire when all its rows are mirrored.
#include "teamscale/postgres/boundary/hidden_changes.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/partition/mirror.h"

extern "C" {
#include "access/genam.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/tupconvert.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "commands/trigger.h"
#include "executor/execPartition.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
}

namespace teamscale {

namespace {

// --- Rows by their key

struct Key {
  Relation index;
  int count;
  ScanKeyData parts[INDEX_MAX_KEYS];
};

// The key of a row, by a unique index of the row's table.
Key KeyOf(Relation index, TupleTableSlot* row) {
  Key key{};
  key.index = index;
  key.count = IndexRelationGetNumberOfKeyAttributes(index);
  for (int i = 0; i < key.count; ++i) {
    Oid type = index->rd_opcintype[i];
    Oid equals = get_opfamily_member(index->rd_opfamily[i], type, type, BTEqualStrategyNumber);
    bool is_null;
    Datum value = slot_getattr(row, index->rd_index->indkey.values[i], &is_null);
    ScanKeyEntryInitialize(&key.parts[i], 0, static_cast<AttrNumber>(i + 1), BTEqualStrategyNumber,
                           InvalidOid, index->rd_indcollation[i], get_opcode(equals), value);
  }
  return key;
}

bool IsKeyOf(const Key& key, TupleTableSlot* row) {
  for (int i = 0; i < key.count; ++i) {
    bool is_null;
    Datum value = slot_getattr(row, key.index->rd_index->indkey.values[i], &is_null);
    auto* part = const_cast<ScanKey>(&key.parts[i]);
    if (!DatumGetBool(
            FunctionCall2Coll(&part->sk_func, part->sk_collation, value, part->sk_argument)))
      return false;
  }
  return true;
}

// The row that has the key now, as the active snapshot sees it.
bool FindRow(Relation table, const Key& key, TupleTableSlot* found) {
  IndexScanDesc scan = index_beginscan(table, key.index, GetActiveSnapshot(), key.count, 0);
  index_rescan(scan, const_cast<ScanKey>(key.parts), key.count, nullptr, 0);
  bool is_there = index_getnext_slot(scan, ForwardScanDirection, found);
  if (is_there) ExecMaterializeSlot(found);
  index_endscan(scan);
  return is_there;
}

// --- The destination, open for changes

struct Destination {
  EState* state;
  Relation relation;
  Oid key;
  ResultRelInfo* root;
  // Of a partitioned one:
  ModifyTableState* node;
  PartitionTupleRouting* routing;
  // From the source's columns to its; null when they are the same.
  TupleConversionMap* map;
  TupleTableSlot* converted;
};

// Error messages look the written columns up in a range table.
void MakeRangeTable(EState* state, Relation relation) {
  auto* entry = makeNode(RangeTblEntry);
  entry->rtekind = RTE_RELATION;
  entry->relid = RelationGetRelid(relation);
  entry->relkind = relation->rd_rel->relkind;
  entry->rellockmode = RowExclusiveLock;
  ExecInitRangeTable(state, list_make1(entry));
}

Destination OpenDestination(const MirrorPair& pair, Relation source) {
  Destination d{};
  d.relation = table_open(pair.destination, RowExclusiveLock);
  d.key = pair.destination_key;
  d.state = CreateExecutorState();
  d.root = makeNode(ResultRelInfo);
  MakeRangeTable(d.state, d.relation);
  InitResultRelInfo(d.root, d.relation, 1, nullptr, 0);
  if (d.relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE) {
    d.node = makeNode(ModifyTableState);
    d.node->ps.state = d.state;
    d.node->operation = CMD_INSERT;
    d.node->resultRelInfo = d.root;
    d.routing = ExecSetupPartitionTupleRouting(d.state, d.relation);
  } else {
    ExecOpenIndices(d.root, false);
  }
  d.map = convert_tuples_by_name(RelationGetDescr(source), RelationGetDescr(d.relation));
  if (d.map) d.converted = table_slot_create(d.relation, &d.state->es_tupleTable);
  return d;
}

void CloseDestination(const Destination& d) {
  ExecResetTupleTable(d.state->es_tupleTable, false);
  if (d.routing)
    ExecCleanupTupleRouting(d.node, d.routing);
  else
    ExecCloseIndices(d.root);
  table_close(d.relation, NoLock);
  FreeExecutorState(d.state);
}

// A row of the source on its way into the table that holds rows like it.
struct Place {
  ResultRelInfo* table;
  Oid key;
  TupleTableSlot* row;
};

Place FindPlace(const Destination& d, TupleTableSlot* row) {
  if (d.map) row = execute_attr_map_slot(d.map->attrMap, row, d.converted);
  if (!d.routing) return {d.root, d.key, row};
  ResultRelInfo* leaf = ExecFindPartition(d.node, d.root, d.routing, row, d.state);
  if (TupleConversionMap* map = leaf->ri_RootToPartitionMap)
    row = execute_attr_map_slot(map->attrMap, row, leaf->ri_PartitionTupleSlot);
  return {leaf, index_get_partition(leaf->ri_RelationDesc, d.key), row};
}

void DeleteAt(const Destination& d, const Place& place) {
  Relation table = place.table->ri_RelationDesc;
  Relation index = index_open(place.key, RowExclusiveLock);
  TupleTableSlot* found = table_slot_create(table, &d.state->es_tupleTable);
  if (FindRow(table, KeyOf(index, place.row), found)) {
    EPQState epq;
    EvalPlanQualInit(&epq, d.state, nullptr, NIL, -1);
    ExecSimpleRelationDelete(place.table, d.state, &epq, found);
    EvalPlanQualEnd(&epq);
  }
  index_close(index, NoLock);
}

// --- The mirror

// Makes the destination's row of a key the source's. row: one of the source's layout that has the
// key, whether it is there still or not.
void Mirror(const Destination& d, Relation source, Relation source_key, TupleTableSlot* row) {
  CommandCounterIncrement();
  PushActiveSnapshot(GetLatestSnapshot());
  d.state->es_snapshot = GetActiveSnapshot();
  d.state->es_output_cid = GetCurrentCommandId(true);
  DeleteAt(d, FindPlace(d, row));
  TupleTableSlot* current = table_slot_create(source, &d.state->es_tupleTable);
  if (FindRow(source, KeyOf(source_key, row), current)) {
    Place place = FindPlace(d, current);
    ExecSimpleRelationInsert(place.table, d.state, place.row);
  }
  PopActiveSnapshot();
}

void MirrorEvent(const TriggerData* event) {
  // For readers of the log it is the source's rows that have changed.
  bool hidden = HideChanges(true);
  MirrorPair pair = ReadMirrorPair(event->tg_trigger);
  Relation source = event->tg_relation;
  Relation source_key = index_open(pair.source_key, AccessShareLock);
  Destination destination = OpenDestination(pair, source);
  // Of an INSERT or a DELETE this is the row, of an UPDATE its former version.
  Mirror(destination, source, source_key, event->tg_trigslot);
  if (TRIGGER_FIRED_BY_UPDATE(event->tg_event) &&
      !IsKeyOf(KeyOf(source_key, event->tg_trigslot), event->tg_newslot))
    Mirror(destination, source, source_key, event->tg_newslot);
  CloseDestination(destination);
  index_close(source_key, NoLock);
  HideChanges(hidden);
}

}  // namespace

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_mirror_row) {
  const auto* event = reinterpret_cast<const TriggerData*>(fcinfo->context);
  if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(event->tg_event) ||
      !TRIGGER_FIRED_FOR_ROW(event->tg_event))
    ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                    errmsg("mirror_row() is called by triggers after a row has changed")));
  teamscale::MirrorEvent(event);
  return PointerGetDatum(nullptr);
}

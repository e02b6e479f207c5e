#include "teamscale/postgres/sharding/returned_rows.h"

extern "C" {
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"
}

namespace teamscale {

namespace {

struct NodeRows {
  core::NodeId node;
  uint64 proposed;
  uint64 returned;
  Tuplestorestate* store;
};

}  // namespace

struct ReturnedRows {
  MemoryContext context;
  TupleDesc descriptor;
  List* nodes;           // of NodeRows, in the order in which they were first proposed a row
  StringInfoData order;  // the node of each row of the source
  int next;              // place in order, or in nodes
  bool reading;
  bool in_source_order;
};

namespace {

NodeRows* RowsOfNode(ReturnedRows* rows, core::NodeId node) {
  ListCell* cell;
  foreach (cell, rows->nodes) {
    auto* known = static_cast<NodeRows*>(lfirst(cell));
    if (known->node == node) return known;
  }
  MemoryContext caller = MemoryContextSwitchTo(rows->context);
  auto* added = static_cast<NodeRows*>(palloc0(sizeof(NodeRows)));
  added->node = node;
  added->store = tuplestore_begin_heap(false, false, work_mem);
  rows->nodes = lappend(rows->nodes, added);
  MemoryContextSwitchTo(caller);
  return added;
}

bool EveryRowGaveOne(const ReturnedRows* rows) {
  ListCell* cell;
  foreach (cell, rows->nodes) {
    auto* known = static_cast<NodeRows*>(lfirst(cell));
    if (known->proposed != known->returned) return false;
  }
  return true;
}

core::NodeId OwnerInOrder(const ReturnedRows* rows, int place) {
  core::NodeId node;
  memcpy(&node, rows->order.data + place * sizeof(node), sizeof(node));
  return node;
}

}  // namespace

ReturnedRows* MakeReturnedRows(TupleDesc descriptor) {
  auto* rows = static_cast<ReturnedRows*>(palloc0(sizeof(ReturnedRows)));
  rows->context = CurrentMemoryContext;
  rows->descriptor = CreateTupleDescCopy(descriptor);
  initStringInfo(&rows->order);
  return rows;
}

TupleDesc ReturnedDescriptor(const ReturnedRows* rows) { return rows->descriptor; }

void NoteProposedRow(ReturnedRows* rows, core::NodeId node) {
  ++RowsOfNode(rows, node)->proposed;
  appendBinaryStringInfo(&rows->order, reinterpret_cast<const char*>(&node), sizeof(node));
}

void AddReturnedRow(ReturnedRows* rows, core::NodeId node, const Datum* values, const bool* nulls) {
  NodeRows* known = RowsOfNode(rows, node);
  ++known->returned;
  tuplestore_putvalues(known->store, rows->descriptor, const_cast<Datum*>(values),
                       const_cast<bool*>(nulls));
}

bool NextReturnedRow(ReturnedRows* rows, TupleTableSlot* slot) {
  if (!rows->reading) {
    rows->reading = true;
    rows->in_source_order = EveryRowGaveOne(rows);
  }
  if (rows->in_source_order) {
    if (rows->next >= rows->order.len / static_cast<int>(sizeof(core::NodeId))) return false;
    NodeRows* known = RowsOfNode(rows, OwnerInOrder(rows, rows->next++));
    return tuplestore_gettupleslot(known->store, true, false, slot);
  }
  for (; rows->next < list_length(rows->nodes); ++rows->next) {
    auto* known = static_cast<NodeRows*>(list_nth(rows->nodes, rows->next));
    if (tuplestore_gettupleslot(known->store, true, false, slot)) return true;
  }
  return false;
}

}  // namespace teamscale

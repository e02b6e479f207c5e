// The custom node "Teamscale Insert": see split_insert_nodes.h.

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/remote_transaction.h"
#include "teamscale/postgres/sharding/distribution_progress.h"
#include "teamscale/postgres/sharding/explain_sql.h"
#include "teamscale/postgres/sharding/key_router.h"
#include "teamscale/postgres/sharding/pass_through_node.h"
#include "teamscale/postgres/sharding/row_batches.h"
#include "teamscale/postgres/sharding/scatter.h"
#include "teamscale/postgres/sharding/split_insert_nodes.h"
#include "teamscale/postgres/sharding/split_insert_state.h"

extern "C" {
#include "access/table.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
}

namespace teamscale {

namespace {

struct InsertState {
  CustomScanState node;
  SplitInsertPlan insert;
  MemoryContext context;  // of what is sent
  Scatter* scatter;       // one of these two, made with the first row for another node
  RowBatches* batches;
  ReturnedRows* returned;
  Datum* values;  // of a row that is scattered, in the order of the columns
  bool* nulls;
  uint64 rows;  // that other nodes took
};

InsertState* StateOf(PlanState* state) { return reinterpret_cast<InsertState*>(state); }

extern const CustomScanMethods kInsertMethods;

// --- The plan's private data ---------------------------------------------------------------------

List* Pack(const SplitInsertPlan* insert) {
  return list_make4(list_make1_oid(insert->parent), insert->columns,
                    list_make2(makeString(pstrdup(insert->statement ? insert->statement : "")),
                               makeInteger(insert->one_batch)),
                    insert->parameters);
}

SplitInsertPlan Unpack(List* packed) {
  List* statement = static_cast<List*>(lthird(packed));
  char* sql = strVal(linitial(statement));
  return {.parent = linitial_oid(static_cast<List*>(linitial(packed))),
          .columns = static_cast<List*>(lsecond(packed)),
          .statement = *sql ? sql : nullptr,
          .parameters = static_cast<List*>(lfourth(packed)),
          .one_batch = intVal(lsecond(statement)) != 0};
}

// --- Sending -------------------------------------------------------------------------------------

void BeginSending(InsertState* state) {
  MemoryContext caller = MemoryContextSwitchTo(state->context);
  if (state->insert.statement) {
    state->batches = MakeRowBatches(&state->insert, &state->node.ss.ps, state->returned);
  } else {
    Relation parent = table_open(state->insert.parent, NoLock);
    state->scatter = MakeScatter(parent, state->insert.columns);
    table_close(parent, NoLock);
    int count = list_length(state->insert.columns);
    state->values = static_cast<Datum*>(palloc(sizeof(Datum) * count));
    state->nulls = static_cast<bool*>(palloc(sizeof(bool) * count));
  }
  MemoryContextSwitchTo(caller);
}

void SendByCopy(InsertState* state, core::NodeId node, TupleTableSlot* slot) {
  int i = 0;
  ListCell* cell;
  foreach (cell, state->insert.columns) {
    state->values[i] = slot->tts_values[lfirst_int(cell) - 1];
    state->nulls[i] = slot->tts_isnull[lfirst_int(cell) - 1];
    ++i;
  }
  ScatterRow(state->scatter, node, state->values, state->nulls, 0);
}

void Send(InsertState* state, core::NodeId node, TupleTableSlot* slot) {
  if (!state->scatter && !state->batches) BeginSending(state);
  if (state->scatter)
    SendByCopy(state, node, slot);
  else
    AddRowToBatch(state->batches, node, slot->tts_values, slot->tts_isnull);
}

void Finish(InsertState* state) {
  if (state->scatter) state->rows = FinishScatter(state->scatter);
  if (state->batches) state->rows = FinishRowBatches(state->batches);
  state->node.ss.ps.state->es_processed += state->rows;
  state->scatter = nullptr;
  state->batches = nullptr;
}

core::NodeId OwnerOf(InsertState* state, TupleTableSlot* slot) {
  const KeyRouter* router = GetKeyRouter(state->insert.parent);
  AttrNumber key = KeyAttribute(router);
  return RequireBucketOfKey(router, slot->tts_values[key - 1], slot->tts_isnull[key - 1],
                            KeyType(router))
      ->node;
}

// --- Executor callbacks --------------------------------------------------------------------------

Node* CreateState(CustomScan*);

void Begin(CustomScanState* node, EState* estate, int eflags) {
  InsertState* state = StateOf(&node->ss.ps);
  auto* plan = reinterpret_cast<CustomScan*>(node->ss.ps.plan);
  state->insert = Unpack(plan->custom_private);
  state->context =
      AllocSetContextCreate(estate->es_query_cxt, "teamscale split INSERT", ALLOCSET_DEFAULT_SIZES);
  outerPlanState(node) = ExecInitNode(outerPlan(plan), estate, eflags);
}

// The next row of the source that belongs to this node.
TupleTableSlot* Execute(CustomScanState* node) {
  InsertState* state = StateOf(&node->ss.ps);
  core::NodeId local_node = CurrentShardMap()->local_node();
  ExprContext* context = node->ss.ps.ps_ExprContext;
  for (;;) {
    CHECK_FOR_INTERRUPTS();
    ResetExprContext(context);
    TupleTableSlot* slot = ExecProcNode(outerPlanState(node));
    if (TupIsNull(slot)) break;
    slot_getallattrs(slot);
    MemoryContext caller = MemoryContextSwitchTo(context->ecxt_per_tuple_memory);
    core::NodeId owner = OwnerOf(state, slot);
    CountMovedRow();
    if (state->returned) NoteProposedRow(state->returned, owner);
    if (owner != local_node) Send(state, owner, slot);
    MemoryContextSwitchTo(caller);
    if (owner != local_node) continue;
    EnterFromPostgres(UseThisNode);
    return slot;
  }
  Finish(state);
  return nullptr;
}

void End(CustomScanState* node) {
  InsertState* state = StateOf(&node->ss.ps);
  ExecEndNode(outerPlanState(node));
  MemoryContextDelete(state->context);
}

void Rescan(CustomScanState*) {
  ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("an INSERT runs once")));
}

void Explain(CustomScanState* node, List*, ExplainState* explain) {
  InsertState* state = StateOf(&node->ss.ps);
  ExplainPropertyText("Other Nodes By", state->insert.statement ? "INSERT" : "COPY", explain);
  if (explain->verbose && state->insert.statement)
    ExplainPropertyText("Remote SQL", OnOneLine(state->insert.statement), explain);
  if (explain->analyze) ExplainPropertyUInteger("Rows Sent", nullptr, state->rows, explain);
}

const CustomExecMethods kInsertExecMethods = {
    .CustomName = "Teamscale Insert",
    .BeginCustomScan = Begin,
    .ExecCustomScan = Execute,
    .EndCustomScan = End,
    .ReScanCustomScan = Rescan,
    .MarkPosCustomScan = nullptr,
    .RestrPosCustomScan = nullptr,
    .EstimateDSMCustomScan = nullptr,
    .InitializeDSMCustomScan = nullptr,
    .ReInitializeDSMCustomScan = nullptr,
    .InitializeWorkerCustomScan = nullptr,
    .ShutdownCustomScan = nullptr,
    .ExplainCustomScan = Explain,
};

const CustomScanMethods kInsertMethods = {"Teamscale Insert", CreateState};

Node* CreateState(CustomScan*) {
  auto* state = static_cast<InsertState*>(palloc0(sizeof(InsertState)));
  state->node.ss.ps.type = T_CustomScanState;
  state->node.methods = &kInsertExecMethods;
  return reinterpret_cast<Node*>(state);
}

}  // namespace

CustomScan* MakeInsertNode(Plan* child, const SplitInsertPlan* insert) {
  return MakePassThroughNode(child, &kInsertMethods, Pack(insert));
}

bool IsInsertNode(const Plan* plan) {
  return plan && IsA(plan, CustomScan) &&
         reinterpret_cast<const CustomScan*>(plan)->methods == &kInsertMethods;
}

void RegisterInsertNode() { RegisterCustomScanMethods(&kInsertMethods); }

void CollectReturnedRows(PlanState* insert, ReturnedRows* returned) {
  StateOf(insert)->returned = returned;
}

}  // namespace teamscale

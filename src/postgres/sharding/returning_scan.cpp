// The custom node "Teamscale Returning": see split_insert_nodes.h. It runs the whole INSERT before
// it gives the first row.

#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/sharding/pass_through_node.h"
#include "teamscale/postgres/sharding/split_insert_nodes.h"
#include "teamscale/postgres/sharding/split_insert_state.h"

extern "C" {
#include "executor/executor.h"
#include "miscadmin.h"
}

namespace teamscale {

namespace {

struct ReturningState {
  CustomScanState node;
  ReturnedRows* returned;
  TupleTableSlot* slot;
  bool done;
};

Node* CreateState(CustomScan*);

ReturningState* StateOf(CustomScanState* node) { return reinterpret_cast<ReturningState*>(node); }

void Begin(CustomScanState* node, EState* estate, int eflags) {
  PlanState* modify_table = ExecInitNode(outerPlan(node->ss.ps.plan), estate, eflags);
  outerPlanState(node) = modify_table;
  ReturningState* state = StateOf(node);
  TupleDesc descriptor = node->ss.ps.ps_ResultTupleDesc;
  state->slot = ExecInitExtraTupleSlot(estate, descriptor, &TTSOpsMinimalTuple);
  state->returned = MakeReturnedRows(descriptor);
  CollectReturnedRows(outerPlanState(modify_table), state->returned);
}

void RunInsert(ReturningState* state) {
  core::NodeId local_node = CurrentShardMap()->local_node();
  for (;;) {
    CHECK_FOR_INTERRUPTS();
    TupleTableSlot* slot = ExecProcNode(outerPlanState(&state->node));
    if (TupIsNull(slot)) break;
    slot_getallattrs(slot);
    AddReturnedRow(state->returned, local_node, slot->tts_values, slot->tts_isnull);
  }
  state->done = true;
}

TupleTableSlot* Execute(CustomScanState* node) {
  ReturningState* state = StateOf(node);
  if (!state->done) RunInsert(state);
  return NextReturnedRow(state->returned, state->slot) ? state->slot : nullptr;
}

void End(CustomScanState* node) { ExecEndNode(outerPlanState(node)); }

void Rescan(CustomScanState*) {
  ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("an INSERT runs once")));
}

const CustomExecMethods kReturningExecMethods = {
    .CustomName = "Teamscale Returning",
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
    .ExplainCustomScan = nullptr,
};

const CustomScanMethods kReturningMethods = {"Teamscale Returning", CreateState};

Node* CreateState(CustomScan*) {
  auto* state = static_cast<ReturningState*>(palloc0(sizeof(ReturningState)));
  state->node.ss.ps.type = T_CustomScanState;
  state->node.methods = &kReturningExecMethods;
  return reinterpret_cast<Node*>(state);
}

}  // namespace

CustomScan* MakeReturningNode(Plan* modify_table) {
  return MakePassThroughNode(modify_table, &kReturningMethods, NIL);
}

bool IsReturningNode(const Plan* plan) {
  return plan && IsA(plan, CustomScan) &&
         reinterpret_cast<const CustomScan*>(plan)->methods == &kReturningMethods;
}

void RegisterReturningNode() { RegisterCustomScanMethods(&kReturningMethods); }

}  // namespace teamscale

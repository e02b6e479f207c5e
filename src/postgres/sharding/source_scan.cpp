// The custom node "Teamscale Source": the rows of a query that was planned on its own, because it
// reads sharded tables and the planner hook decides where.

#include "teamscale/postgres/sharding/split_insert_nodes.h"

extern "C" {
#include "commands/explain.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "tcop/dest.h"
#include "utils/snapmgr.h"
}

#include "teamscale/postgres/boundary/tree.h"

namespace teamscale {

namespace {

struct SourceState {
  CustomScanState node;
  QueryDesc* query;
};

Node* CreateState(CustomScan*);

SourceState* StateOf(CustomScanState* node) { return reinterpret_cast<SourceState*>(node); }

// --- Planning ------------------------------------------------------------------------------------

// References of the scan that is replaced, to the columns of the range table entry, become
// references to the columns that this node gives.
Node* ReferToSource(Node* node, Index* rti) {
  if (!node) return nullptr;
  if (IsA(node, Var) && reinterpret_cast<Var*>(node)->varno == static_cast<int>(*rti)) {
    auto* var = static_cast<Var*>(copyObjectImpl(node));
    var->varno = INDEX_VAR;
    return reinterpret_cast<Node*>(var);
  }
  return MutateExpression(node, ReferToSource, rti);
}

List* SourceColumns(PlannedStmt* source, Index rti) {
  List* columns = NIL;
  AttrNumber number = 0;
  ListCell* cell;
  foreach (cell, source->planTree->targetlist) {
    auto* entry = static_cast<TargetEntry*>(lfirst(cell));
    if (entry->resjunk) continue;
    ++number;
    auto* expression = reinterpret_cast<Node*>(entry->expr);
    Var* var = makeVar(rti, number, exprType(expression), exprTypmod(expression),
                       exprCollation(expression), 0);
    columns = lappend(columns,
                      makeTargetEntry(reinterpret_cast<Expr*>(var), number, entry->resname, false));
  }
  return columns;
}

// --- Executor callbacks --------------------------------------------------------------------------

void Begin(CustomScanState* node, EState* estate, int eflags) {
  auto* plan = reinterpret_cast<CustomScan*>(node->ss.ps.plan);
  auto* source = static_cast<PlannedStmt*>(linitial(plan->custom_private));
  SourceState* state = StateOf(node);
  state->query = CreateQueryDesc(source, estate->es_sourceText, estate->es_snapshot,
                                 InvalidSnapshot, None_Receiver, estate->es_param_list_info,
                                 estate->es_queryEnv, estate->es_instrument);
  // The triggers that rows fire are the INSERT's own.
  ExecutorStart(state->query, (eflags & EXEC_FLAG_EXPLAIN_ONLY) | EXEC_FLAG_SKIP_TRIGGERS);
}

TupleTableSlot* NextOfSource(QueryDesc* query) {
  MemoryContext caller = MemoryContextSwitchTo(query->estate->es_query_cxt);
  ResetPerTupleExprContext(query->estate);
  TupleTableSlot* row = ExecProcNode(query->planstate);
  if (!TupIsNull(row) && query->estate->es_junkFilter)
    row = ExecFilterJunk(query->estate->es_junkFilter, row);
  MemoryContextSwitchTo(caller);
  return row;
}

TupleTableSlot* Next(ScanState* node) {
  SourceState* state = StateOf(reinterpret_cast<CustomScanState*>(node));
  TupleTableSlot* slot = ExecClearTuple(node->ss_ScanTupleSlot);
  TupleTableSlot* row = NextOfSource(state->query);
  if (TupIsNull(row)) return slot;
  slot_getallattrs(row);
  for (int i = 0; i < slot->tts_tupleDescriptor->natts; ++i) {
    slot->tts_values[i] = row->tts_values[i];
    slot->tts_isnull[i] = row->tts_isnull[i];
  }
  return ExecStoreVirtualTuple(slot);
}

bool Recheck(ScanState*, TupleTableSlot*) { return true; }

TupleTableSlot* Execute(CustomScanState* node) { return ExecScan(&node->ss, Next, Recheck); }

void End(CustomScanState* node) {
  SourceState* state = StateOf(node);
  if (!(state->query->estate->es_top_eflags & EXEC_FLAG_EXPLAIN_ONLY)) ExecutorFinish(state->query);
  ExecutorEnd(state->query);
  FreeQueryDesc(state->query);
}

void Rescan(CustomScanState* node) { ExecutorRewind(StateOf(node)->query); }

// Where the source runs is shown by the node that the planner hook put on top of its plan, if any.
void Explain(CustomScanState* node, List* ancestors, ExplainState* explain) {
  PlanState* top = StateOf(node)->query->planstate;
  if (!IsA(top, CustomScanState)) return;
  auto* routed = reinterpret_cast<CustomScanState*>(top);
  if (routed->methods->ExplainCustomScan)
    routed->methods->ExplainCustomScan(routed, ancestors, explain);
}

const CustomExecMethods kSourceExecMethods = {
    .CustomName = "Teamscale Source",
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

const CustomScanMethods kSourceMethods = {"Teamscale Source", CreateState};

Node* CreateState(CustomScan*) {
  auto* state = static_cast<SourceState*>(palloc0(sizeof(SourceState)));
  state->node.ss.ps.type = T_CustomScanState;
  state->node.methods = &kSourceExecMethods;
  return reinterpret_cast<Node*>(state);
}

}  // namespace

CustomScan* MakeSourceNode(const Scan* scan, PlannedStmt* source) {
  auto* node = makeNode(CustomScan);
  Index rti = scan->scanrelid;
  node->methods = &kSourceMethods;
  node->custom_private = list_make1(source);
  node->custom_scan_tlist = SourceColumns(source, rti);
  node->scan.plan = scan->plan;
  node->scan.plan.type = T_CustomScan;
  node->scan.plan.targetlist =
      reinterpret_cast<List*>(ReferToSource(reinterpret_cast<Node*>(scan->plan.targetlist), &rti));
  node->scan.plan.qual =
      reinterpret_cast<List*>(ReferToSource(reinterpret_cast<Node*>(scan->plan.qual), &rti));
  return node;
}

void RegisterSourceNode() { RegisterCustomScanMethods(&kSourceMethods); }

}  // namespace teamscale

#include "teamscale/postgres/sharding/route_node.h"

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/node_session.h"
#include "teamscale/postgres/cluster/remote.h"
#include "teamscale/postgres/sharding/explain_sql.h"
#include "teamscale/postgres/sharding/route.h"
#include "teamscale/postgres/sharding/wire.h"

extern "C" {
#include "access/xact.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/tuplestore.h"
}

namespace teamscale {

namespace {

// Whether one client statement stands alone: not in a block, not called by a function. The executor
// itself adds the one flag to every plain SELECT.
bool StandsAlone(const EState* state) {
  return !IsTransactionBlock() && !IsSubTransaction() && XactIsoLevel == XACT_READ_COMMITTED &&
         (state->es_top_eflags & ~EXEC_FLAG_SKIP_TRIGGERS) == 0 && ExecutionNesting() == 1 &&
         !IsInParallelMode();
}

struct RouteState {
  CustomScanState css;  // first: PostgreSQL sees only this
  RouteParts parts;
  List* parameter_states;  // of ExprState
  Tuplestorestate* rows;
  TupleTableSlot* stored;  // of minimal tuples, as the store holds them
  bool has_rows;
  bool executed;
};

// Takes rows as they arrive; keeps them in the store, which spills to disk beyond work_mem.
class StoreRows : public RowSink {
 public:
  StoreRows(Tuplestorestate* store, TupleDesc columns, RowReader* reader, MemoryContext scratch)
      : store_(store), columns_(columns), reader_(reader), scratch_(scratch) {}

  void Row(core::NodeId, const PGresult* result, int row) override {
    CallPostgres([this, result, row] {
      MemoryContext caller = MemoryContextSwitchTo(scratch_);
      auto* values = static_cast<Datum*>(palloc(sizeof(Datum) * (columns_->natts + 1)));
      auto* nulls = static_cast<bool*>(palloc(sizeof(bool) * (columns_->natts + 1)));
      reader_->Read(result, row, values, nulls);
      tuplestore_putvalues(store_, columns_, values, nulls);
      MemoryContextSwitchTo(caller);
      MemoryContextReset(scratch_);
    });
  }

 private:
  Tuplestorestate* store_;
  TupleDesc columns_;
  RowReader* reader_;
  MemoryContext scratch_;
};

struct Argument {
  Datum value;
  bool is_null;
  Oid type;
};

Argument* EvaluateParameters(RouteState* state, int* count) {
  *count = list_length(state->parameter_states);
  auto* arguments = static_cast<Argument*>(palloc(sizeof(Argument) * (*count + 1)));
  ExprContext* context = state->css.ss.ps.ps_ExprContext;
  for (int i = 0; i < *count; ++i) {
    auto* expression = static_cast<ExprState*>(list_nth(state->parameter_states, i));
    // In the query's memory: each is needed until all are sent.
    arguments[i].value = ExecEvalExpr(expression, context, &arguments[i].is_null);
    arguments[i].type = exprType(reinterpret_cast<Node*>(expression->expr));
  }
  return arguments;
}

// Everything of one execution: evaluates, sends, stores the answer.
void Execute(RouteState* state) {
  EState* estate = state->css.ss.ps.state;
  MemoryContext caller = MemoryContextSwitchTo(estate->es_query_cxt);
  Owner owner = ResolvePins(state->parts.pins, estate->es_param_list_info, state->parts.inserted);
  int count;
  Argument* arguments = EvaluateParameters(state, &count);
  TupleDesc columns = state->css.ss.ss_ScanTupleSlot->tts_tupleDescriptor;
  state->rows = tuplestore_begin_heap(true, false, work_mem);
  RowReader* reader = columns->natts > 0 ? RowReader::Make(columns) : nullptr;
  MemoryContext scratch =
      AllocSetContextCreate(CurrentMemoryContext, "teamscale route row", ALLOCSET_SMALL_SIZES);

  std::uint64_t affected = EnterFromPostgres([&] {
    RemoteStatement statement;
    statement.sql = state->parts.sql;
    for (int i = 0; i < count; ++i)
      statement.parameters.push_back(
          EncodeParameter(arguments[i].value, arguments[i].is_null, arguments[i].type));
    statement.effect = state->parts.writes ? Effect::kWrites : Effect::kReads;
    statement.keep_prepared = true;
    statement.binary_result = true;
    statement.alone = !state->parts.writes && StandsAlone(estate);
    StoreRows sink(state->rows, columns, reader, scratch);
    return ExecuteOnNode(owner.node, statement, reader ? &sink : nullptr).rows;
  });
  MemoryContextDelete(scratch);
  const PlannedStmt* plan = estate->es_plannedstmt;
  // SELECT FROM ... has rows without columns: only their number came.
  if (!reader && plan->commandType == CMD_SELECT)
    for (std::uint64_t row = 0; row < affected; ++row)
      tuplestore_putvalues(state->rows, columns, nullptr, nullptr);
  if (plan->commandType != CMD_SELECT && plan->canSetTag) estate->es_processed += affected;
  state->executed = true;
  MemoryContextSwitchTo(caller);
}

void Begin(CustomScanState* node, EState*, int) {
  auto* state = reinterpret_cast<RouteState*>(node);
  state->parts = ReadRouteNode(reinterpret_cast<CustomScan*>(node->ss.ps.plan));
  state->parameter_states =
      ExecInitExprList(state->parts.parameters, reinterpret_cast<PlanState*>(node));
  const PlannedStmt* plan = node->ss.ps.state->es_plannedstmt;
  state->has_rows = plan->commandType == CMD_SELECT || plan->hasReturning;
  state->stored = ExecInitExtraTupleSlot(
      node->ss.ps.state, node->ss.ss_ScanTupleSlot->tts_tupleDescriptor, &TTSOpsMinimalTuple);
}

TupleTableSlot* Next(ScanState* node) {
  auto* state = reinterpret_cast<RouteState*>(node);
  if (!state->executed) Execute(state);
  TupleTableSlot* slot = state->css.ss.ss_ScanTupleSlot;
  ExecClearTuple(slot);
  bool forward = ScanDirectionIsForward(state->css.ss.ps.state->es_direction);
  if (!state->has_rows || !tuplestore_gettupleslot(state->rows, forward, false, state->stored))
    return slot;
  return ExecCopySlot(slot, state->stored);
}

bool Recheck(ScanState*, TupleTableSlot*) { return true; }

TupleTableSlot* Exec(CustomScanState* node) { return ExecScan(&node->ss, Next, Recheck); }

void End(CustomScanState* node) {
  auto* state = reinterpret_cast<RouteState*>(node);
  if (state->rows) tuplestore_end(state->rows);
}

void ReScan(CustomScanState* node) {
  auto* state = reinterpret_cast<RouteState*>(node);
  if (state->rows) tuplestore_rescan(state->rows);
  ExecScanReScan(&node->ss);
}

void Explain(CustomScanState* node, List*, ExplainState* explain) {
  auto* state = reinterpret_cast<RouteState*>(node);
  Owner owner =
      ResolvePins(state->parts.pins, node->ss.ps.state->es_param_list_info, state->parts.inserted);
  ExplainPropertyText("Node", CurrentShardMap()->FindNode(owner.node)->name.c_str(), explain);
  if (owner.bucket) ExplainPropertyInteger("Bucket", nullptr, owner.bucket->id, explain);
  ExplainPropertyText("Remote SQL", OnOneLine(state->parts.sql), explain);
}

Node* MakeState(CustomScan*);

CustomScanMethods scan_methods = {"Teamscale Route", MakeState};
CustomExecMethods exec_methods;

Node* MakeState(CustomScan*) {
  auto* state = static_cast<RouteState*>(palloc0(sizeof(RouteState)));
  NodeSetTag(state, T_CustomScanState);
  state->css.methods = &exec_methods;
  return reinterpret_cast<Node*>(state);
}

}  // namespace

void InitRouteNode() {
  exec_methods.CustomName = "Teamscale Route";
  exec_methods.BeginCustomScan = Begin;
  exec_methods.ExecCustomScan = Exec;
  exec_methods.EndCustomScan = End;
  exec_methods.ReScanCustomScan = ReScan;
  exec_methods.ExplainCustomScan = Explain;
  RegisterCustomScanMethods(&scan_methods);
}

CustomScan* MakeRouteNode(const RouteParts& parts) {
  auto* node = makeNode(CustomScan);
  node->methods = &scan_methods;
  // A cursor may go backward if whatever comes to run can.
  if (!parts.local_plan || ExecSupportsBackwardScan(parts.local_plan->planTree))
    node->flags = CUSTOMPATH_SUPPORT_BACKWARD_SCAN;
  List* relations = NIL;
  List* arrays = NIL;
  ListCell* cell;
  foreach (cell, parts.pins) {
    auto* pin = static_cast<KeyPin*>(lfirst(cell));
    relations = lappend_oid(relations, pin->relation);
    arrays = lappend_int(arrays, pin->is_array);
    node->custom_exprs = lappend(node->custom_exprs, pin->value);
  }
  node->custom_exprs = list_concat(node->custom_exprs, parts.parameters);
  node->custom_private = list_make5(parts.sql ? reinterpret_cast<Node*>(makeString(parts.sql))
                                              : reinterpret_cast<Node*>(parts.query),
                                    list_make2_int(parts.writes, static_cast<int>(parts.inserted)),
                                    parts.local_plan, relations, arrays);
  return node;
}

RouteParts ReadRouteNode(const CustomScan* node) {
  RouteParts parts = {};
  List* kept = node->custom_private;
  auto* statement = static_cast<Node*>(linitial(kept));
  if (IsA(statement, Query))
    parts.query = castNode(Query, statement);
  else
    parts.sql = strVal(statement);
  auto* flags = static_cast<List*>(lsecond(kept));
  parts.writes = linitial_int(flags);
  parts.inserted = static_cast<InsertedKey>(lsecond_int(flags));
  parts.local_plan = static_cast<PlannedStmt*>(lthird(kept));
  auto* relations = static_cast<List*>(lfourth(kept));
  auto* arrays = static_cast<List*>(list_nth(kept, 4));
  int count = list_length(relations);
  for (int i = 0; i < count; ++i) {
    auto* pin = static_cast<KeyPin*>(palloc(sizeof(KeyPin)));
    *pin = {list_nth_oid(relations, i), static_cast<Expr*>(list_nth(node->custom_exprs, i)),
            list_nth_int(arrays, i) != 0};
    parts.pins = lappend(parts.pins, pin);
  }
  parts.parameters = list_copy_tail(node->custom_exprs, count);
  return parts;
}

bool IsRouteNode(const Plan* plan) {
  return IsA(plan, CustomScan) &&
         reinterpret_cast<const CustomScan*>(plan)->methods == &scan_methods;
}

bool ExecuteRoute(PlanState* node) {
  if (!node || !IsA(node, CustomScanState)) return false;
  auto* state = reinterpret_cast<RouteState*>(node);
  if (state->css.methods != &exec_methods || state->executed) return false;
  Execute(state);
  return true;
}

void InitRoute() { InitRouteNode(); }

}  // namespace teamscale

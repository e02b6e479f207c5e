#include "teamscale/postgres/sharding/row_batches.h"

#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/remote.h"
#include "teamscale/postgres/sharding/lossless_settings.h"
#include "teamscale/postgres/sharding/wire.h"

extern "C" {
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
}

namespace teamscale {

namespace {

// A batch is sent at this size. Where a node must see all of its rows in one statement, so that ON
// CONFLICT DO UPDATE refuses a row that is proposed twice, the batch grows to the second size, and
// beyond it the INSERT is refused.
constexpr Size kBatchBytes = 4 * 1024 * 1024;
constexpr Size kLargestBatchBytes = 256 * 1024 * 1024;

struct Batch {
  core::NodeId node;
  MemoryContext context;  // of the rows; reset when they are sent
  ArrayBuildState** columns;
  uint64 rows;
};

}  // namespace

struct RowBatches {
  MemoryContext context;
  const SplitInsertPlan* insert;
  ReturnedRows* returned;
  RowReader* reader;
  // The statement's own parameters, evaluated once; null where it is an array of a column.
  Datum* values;
  bool* nulls;
  // Of each column that is sent: how its values stand in the array.
  Oid* types;
  Oid* element_types;
  FmgrInfo* outputs;  // for values that stand there as text
  bool writes_text;
  List* batches;
  uint64 affected;
};

namespace {

Batch* BatchOfNode(RowBatches* batches, core::NodeId node) {
  ListCell* cell;
  foreach (cell, batches->batches) {
    auto* batch = static_cast<Batch*>(lfirst(cell));
    if (batch->node == node) return batch;
  }
  MemoryContext caller = MemoryContextSwitchTo(batches->context);
  auto* batch = static_cast<Batch*>(palloc0(sizeof(Batch)));
  batch->node = node;
  batch->context =
      AllocSetContextCreate(batches->context, "teamscale batch of rows", ALLOCSET_DEFAULT_SIZES);
  batches->batches = lappend(batches->batches, batch);
  MemoryContextSwitchTo(caller);
  return batch;
}

void BeginBatch(RowBatches* batches, Batch* batch) {
  int count = list_length(batches->insert->columns);
  MemoryContext caller = MemoryContextSwitchTo(batch->context);
  batch->columns = static_cast<ArrayBuildState**>(palloc(sizeof(ArrayBuildState*) * count));
  for (int i = 0; i < count; ++i)
    batch->columns[i] = initArrayResult(batches->element_types[i], batch->context, false);
  MemoryContextSwitchTo(caller);
}

// The array of one column's values, as a Datum of the array type.
Datum ColumnArray(Batch* batch, int index) {
  return makeArrayResult(batch->columns[index], batch->context);
}

class ReturnedRowSink : public RowSink {
 public:
  explicit ReturnedRowSink(RowBatches* batches) : batches_(batches) {}

  void Row(core::NodeId node, const PGresult* result, int row) override {
    CallPostgres([&] {
      TupleDesc descriptor = ReturnedDescriptor(batches_->returned);
      auto* values = static_cast<Datum*>(palloc(sizeof(Datum) * (descriptor->natts + 1)));
      auto* nulls = static_cast<bool*>(palloc(sizeof(bool) * (descriptor->natts + 1)));
      batches_->reader->Read(result, row, values, nulls);
      AddReturnedRow(batches_->returned, node, values, nulls);
      pfree(values);
      pfree(nulls);
    });
  }

 private:
  RowBatches* batches_;
};

RemoteStatement StatementFor(RowBatches* batches, Batch* batch) {
  RemoteStatement statement;
  statement.sql = batches->insert->statement;
  statement.keep_prepared = true;
  statement.binary_result = true;
  for (int i = 0; i < list_length(batches->insert->parameters); ++i) {
    auto* expression = static_cast<Node*>(list_nth(batches->insert->parameters, i));
    Oid type = exprType(expression);
    int index = ArrayParameterIndex(expression);
    if (index >= 0) {
      Datum array = CallPostgres([&] { return ColumnArray(batch, index); });
      statement.parameters.push_back(EncodeParameter(array, false, type));
    } else {
      statement.parameters.push_back(EncodeParameter(batches->values[i], batches->nulls[i], type));
    }
  }
  return statement;
}

void SendBatch(RowBatches* batches, Batch* batch) {
  if (batch->rows == 0) return;
  MemoryContext caller = MemoryContextSwitchTo(batch->context);
  batches->affected += EnterFromPostgres([&] {
    ReturnedRowSink sink(batches);
    return ExecuteOnNode(batch->node, StatementFor(batches, batch),
                         batches->returned ? &sink : nullptr)
        .rows;
  });
  MemoryContextSwitchTo(caller);
  MemoryContextReset(batch->context);
  batch->rows = 0;
}

void MakeRoom(RowBatches* batches, Batch* batch) {
  Size size = MemoryContextMemAllocated(batch->context, true);
  if (!batches->insert->one_batch) {
    if (size >= kBatchBytes) SendBatch(batches, batch);
    return;
  }
  if (size < kLargestBatchBytes) return;
  const core::Node* node = CurrentShardMap()->FindNode(batch->node);
  ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                  errmsg("INSERT ... ON CONFLICT DO UPDATE has too many rows for node \"%s\"",
                         node ? node->name.c_str() : "?"),
                  errdetail("They take more than %d MB, and the node must see all of them at once.",
                            static_cast<int>(kLargestBatchBytes >> 20)),
                  errhint("Insert them in several statements.")));
}

void DescribeColumns(RowBatches* batches) {
  int count = list_length(batches->insert->columns);
  batches->types = static_cast<Oid*>(palloc(sizeof(Oid) * count));
  batches->element_types = static_cast<Oid*>(palloc(sizeof(Oid) * count));
  batches->outputs = static_cast<FmgrInfo*>(palloc0(sizeof(FmgrInfo) * count));
  ListCell* cell;
  foreach (cell, batches->insert->parameters) {
    auto* expression = static_cast<Node*>(lfirst(cell));
    int index = ArrayParameterIndex(expression);
    if (index < 0) continue;
    Oid type = get_atttype(batches->insert->parent,
                           static_cast<AttrNumber>(list_nth_int(batches->insert->columns, index)));
    Oid element = get_element_type(exprType(expression));
    batches->types[index] = type;
    batches->element_types[index] = element;
    if (element == type) continue;
    Oid output;
    bool varlena;
    getTypeOutputInfo(type, &output, &varlena);
    fmgr_info(output, &batches->outputs[index]);
    batches->writes_text = true;
  }
}

void EvaluateParameters(RowBatches* batches, PlanState* plan_state) {
  int count = list_length(batches->insert->parameters);
  batches->values = static_cast<Datum*>(palloc0(sizeof(Datum) * (count + 1)));
  batches->nulls = static_cast<bool*>(palloc0(sizeof(bool) * (count + 1)));
  ExprContext* context = CreateExprContext(plan_state->state);
  for (int i = 0; i < count; ++i) {
    auto* expression = static_cast<Expr*>(list_nth(batches->insert->parameters, i));
    if (ArrayParameterIndex(reinterpret_cast<Node*>(expression)) >= 0) continue;
    ExprState* state = ExecInitExpr(expression, plan_state);
    Datum value = ExecEvalExprSwitchContext(state, context, &batches->nulls[i]);
    int16 length;
    bool by_value;
    get_typlenbyval(exprType(reinterpret_cast<Node*>(expression)), &length, &by_value);
    if (!batches->nulls[i]) batches->values[i] = datumCopy(value, by_value, length);
  }
  FreeExprContext(context, true);
}

}  // namespace

RowBatches* MakeRowBatches(const SplitInsertPlan* insert, PlanState* plan_state,
                           ReturnedRows* returned) {
  auto* batches = static_cast<RowBatches*>(palloc0(sizeof(RowBatches)));
  batches->context = CurrentMemoryContext;
  batches->insert = insert;
  batches->returned = returned;
  if (returned) batches->reader = RowReader::Make(ReturnedDescriptor(returned));
  DescribeColumns(batches);
  EvaluateParameters(batches, plan_state);
  return batches;
}

void AddRowToBatch(RowBatches* batches, core::NodeId node, const Datum* values, const bool* nulls) {
  Batch* batch = BatchOfNode(batches, node);
  if (batch->rows == 0) BeginBatch(batches, batch);
  int settings = batches->writes_text ? EnterLosslessSettings() : 0;
  for (int i = 0; i < list_length(batches->insert->columns); ++i) {
    int attribute = list_nth_int(batches->insert->columns, i) - 1;
    Datum value = values[attribute];
    if (!nulls[attribute] && batches->outputs[i].fn_addr)
      value = PointerGetDatum(cstring_to_text(OutputFunctionCall(&batches->outputs[i], value)));
    accumArrayResult(batch->columns[i], value, nulls[attribute], batches->element_types[i],
                     batch->context);
  }
  if (batches->writes_text) LeaveLosslessSettings(settings);
  ++batch->rows;
  MakeRoom(batches, batch);
}

std::uint64_t FinishRowBatches(RowBatches* batches) {
  ListCell* cell;
  foreach (cell, batches->batches) SendBatch(batches, static_cast<Batch*>(lfirst(cell)));
  return batches->affected;
}

}  // namespace teamscale

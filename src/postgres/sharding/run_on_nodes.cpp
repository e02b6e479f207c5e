// run_on_node(), run_on_key() and run_on_all_nodes(): SQL of the application's on nodes that it
// names, as the current user. All in this transaction, but for commands that refuse a block.

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/cluster/catalog_change.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/node_state.h"
#include "teamscale/postgres/cluster/remote.h"
#include "teamscale/postgres/cluster/remote_transaction.h"
#include "teamscale/postgres/sharding/any_statement.h"
#include "teamscale/postgres/sharding/definition_digest.h"
#include "teamscale/postgres/sharding/key_argument.h"
#include "teamscale/postgres/sharding/new_sequences.h"

extern "C" {
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
}

namespace teamscale {

namespace {

struct Output {
  TupleDesc descriptor;
  Tuplestorestate* store;
};

Output OutputOf(FunctionCallInfo fcinfo) {
  InitMaterializedSRF(fcinfo, 0);
  auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
  return {result->setDesc, result->setResult};
}

const core::ShardMap* RequireMap() {
  RequireServingNode();
  const core::ShardMap* map = CurrentShardMap();
  if (!map)
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("this database is no node of a cluster"),
                    errhint("Make it one with teamscale.create_cluster() or "
                            "teamscale.add_node().")));
  return map;
}

const char* NameOf(core::NodeId node) {
  return pstrdup(CurrentShardMap()->FindNode(node)->name.c_str());
}

// Takes rows of (result, affected) as text.
class OutputSink : public RowSink {
 public:
  explicit OutputSink(const Output& output) : output_(output) {}

  void Row(core::NodeId node, const PGresult* result, int row) override {
    CallPostgres([&] {
      bool nulls[3] = {false, PQgetisnull(result, row, 0) != 0, PQgetisnull(result, row, 1) != 0};
      Datum values[3] = {CStringGetTextDatum(NameOf(node))};
      if (!nulls[1])
        values[1] = DirectFunctionCall1(jsonb_in, CStringGetDatum(PQgetvalue(result, row, 0)));
      if (!nulls[2])
        values[2] = DirectFunctionCall1(int8in, CStringGetDatum(PQgetvalue(result, row, 1)));
      tuplestore_putvalues(output_.store, output_.descriptor, values, nulls);
    });
  }

 private:
  Output output_;
};

// --- Within the transaction ----------------------------------------------------------------------

RemoteStatement ExecuteHereStatement(const char* sql, bool definitions) {
  return {.sql = kExecuteHere,
          .parameters = {{.type = TEXTOID, .value = sql},
                         {.type = BOOLOID, .value = definitions ? "t" : "f"}}};
}

void RunOn(core::NodeId node, const char* sql, bool definitions, const Output& output) {
  if (node == CurrentShardMap()->local_node()) {
    EnterFromPostgres(UseThisNode);
    RunStatementHere(sql, definitions, NameOf(node), output.descriptor, output.store);
    return;
  }
  EnterFromPostgres([&] {
    OutputSink sink(output);
    ExecuteOnNode(node, ExecuteHereStatement(sql, definitions), &sink);
  });
}

void RunOnOthers(const char* sql, bool definitions, const Output& output) {
  EnterFromPostgres([&] {
    core::NodeId local_node = CallPostgres([] { return CurrentShardMap(); })->local_node();
    std::vector<core::NodeId> nodes = ActiveNodes();
    std::erase(nodes, local_node);
    OutputSink sink(output);
    ExecuteOnNodes(nodes, ExecuteHereStatement(sql, definitions), &sink);
  });
}

// --- Outside of it -------------------------------------------------------------------------------

[[noreturn]] void RefuseConcurrently(const char* command) {
  ereport(ERROR,
          (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
           errmsg("%s CONCURRENTLY cannot be run on this node by a function", command),
           errdetail("It waits for all snapshots, the calling statement's among them."),
           errhint("Call teamscale.run_on_node() for each other node, and run the command itself "
                   "on this one.")));
}

void CheckOutsideBlock(const AnyStatement& statement) {
  if (!IsTransactionBlock()) return;
  ereport(ERROR, (errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
                  errmsg("%s cannot run inside a transaction block", statement.refuses_block)));
}

// One after the other; an error says which are done.
void RunOutside(const std::vector<core::NodeId>& nodes, const char* sql, const Output& output) {
  std::string done;
  for (core::NodeId node : nodes) {
    std::string name = CallPostgres([] { return CurrentShardMap(); })->FindNode(node)->name;
    try {
      ExecuteOutsideTransaction(node, sql);
    } catch (const PostgresError& error) {
      ErrorData* data = error.data();
      data->detail = CallPostgres([&] {
        return psprintf("%s%sThe command failed on node \"%s\". It is done on: %s.",
                        data->detail ? data->detail : "", data->detail ? "\n" : "", name.c_str(),
                        done.empty() ? "no node" : done.c_str());
      });
      throw;
    }
    done += (done.empty() ? "" : ", ") + name;
    CallPostgres([&] {
      Datum values[3] = {CStringGetTextDatum(name.c_str())};
      bool nulls[3] = {false, true, true};
      tuplestore_putvalues(output.store, output.descriptor, values, nulls);
    });
  }
}

void RunOnOneNode(core::NodeId node, const char* sql, const Output& output) {
  AnyStatement statement = ExamineStatement(sql);
  if (!statement.refuses_block) {
    RunOn(node, sql, false, output);
    return;
  }
  CheckOutsideBlock(statement);
  if (statement.concurrently && node == CurrentShardMap()->local_node())
    RefuseConcurrently(statement.refuses_block);
  EnterFromPostgres([&] { RunOutside({node}, sql, output); });
}

void RunOnAll(const char* sql, const Output& output) {
  AnyStatement statement = ExamineStatement(sql);
  if (statement.refuses_block) {
    CheckOutsideBlock(statement);
    if (statement.concurrently) RefuseConcurrently(statement.refuses_block);
    EnterFromPostgres([&] { RunOutside(ActiveNodes(), sql, output); });
    return;
  }
  if (!statement.defines) {
    RunOn(CurrentShardMap()->local_node(), sql, false, output);
    RunOnOthers(sql, false, output);
    return;
  }
  LockDefinitions();
  ArrayType* sequences = SequencesWithoutRange();
  RunOn(CurrentShardMap()->local_node(), sql, true, output);
  RunOnOthers(sql, true, output);
  CheckSameDefinitions();
  GiveRangesToNewSequences(sequences);
}

}  // namespace

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_run_on_node) {
  using namespace teamscale;
  const char* name = text_to_cstring(PG_GETARG_TEXT_PP(0));
  const char* sql = text_to_cstring(PG_GETARG_TEXT_PP(1));
  const core::Node* node = RequireMap()->FindNode(std::string_view(name));
  if (!node)
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("node \"%s\" does not exist", name),
                    errhint("The view teamscale.node lists the nodes.")));
  RunOnOneNode(node->id, sql, OutputOf(fcinfo));
  return Datum{0};
}

TEAMSCALE_SQL_FUNCTION(teamscale_run_on_key) {
  using namespace teamscale;
  const char* sql = text_to_cstring(PG_GETARG_TEXT_PP(2));
  RequireMap();
  core::NodeId node = BucketOfArgument(fcinfo, 0, 1)->node;
  RunOnOneNode(node, sql, OutputOf(fcinfo));
  return Datum{0};
}

TEAMSCALE_SQL_FUNCTION(teamscale_run_on_all_nodes) {
  using namespace teamscale;
  const char* sql = text_to_cstring(PG_GETARG_TEXT_PP(0));
  RequireMap();
  RunOnAll(sql, OutputOf(fcinfo));
  return Datum{0};
}

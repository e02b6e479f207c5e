#include "teamscale/postgres/cluster/catalog_change.h"

#include <algorithm>

#include "teamscale/postgres/boundary/acting_role.h"
#include "teamscale/postgres/boundary/extension_owner.h"
#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/node_session.h"
#include "teamscale/postgres/cluster/node_state.h"
#include "teamscale/postgres/cluster/remote.h"

extern "C" {
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
}

namespace teamscale {

namespace {

constexpr char kRaiseEpochThere[] = "SELECT teamscale_internal.raise_epoch()";
constexpr char kRaiseEpoch[] =
    "UPDATE teamscale_internal.cluster SET epoch = epoch + 1 RETURNING epoch";

// This node's epoch, raised by one. Plain dialect.
int64 RaiseLocalEpoch() {
  SPI_connect();
  ExecuteAsExtensionOwner(kRaiseEpoch, 0, nullptr, nullptr, nullptr);
  if (SPI_processed != 1)
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("this database is no node of a cluster")));
  bool is_null;
  Datum epoch = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null);
  int64 result = DatumGetInt64(epoch);
  SPI_finish();
  return result;
}

void ExecuteLocally(const char* sql) {
  SPI_connect();
  int status = SPI_execute(sql, false, 0);
  if (status < 0)
    ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR),
                    errmsg("could not execute on this node: %s", SPI_result_code_string(status)),
                    errdetail("The statement is: %s", sql)));
  SPI_finish();
}

const core::ShardMap& RequireMap() {
  const core::ShardMap* map = CallPostgres([] { return CurrentShardMap(); });
  if (!map)
    throw Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "this database is no node of a cluster",
                "", "Make it one with teamscale.create_cluster() or teamscale.add_node().");
  return *map;
}

// Takes the first column of the only row as a bigint.
class EpochSink : public RowSink {
 public:
  void Row(core::NodeId, const PGresult* result, int row) override {
    epoch_ = std::stoll(PQgetvalue(result, row, 0));
  }
  std::int64_t epoch() const { return epoch_; }

 private:
  std::int64_t epoch_ = 0;
};

}  // namespace

std::vector<core::NodeId> ActiveNodes() {
  std::vector<core::NodeId> nodes;
  for (const core::Node& node : RequireMap().nodes())
    if (node.state == core::NodeState::kActive) nodes.push_back(node.id);
  return nodes;
}

std::int64_t BeginCatalogChange() {
  CallPostgres([] { RequireServingNode(); });
  const core::ShardMap& map = RequireMap();
  core::NodeId local = map.local_node();
  std::int64_t epoch = 0;
  for (core::NodeId node : ActiveNodes()) {
    std::int64_t raised;
    if (node == local) {
      raised = CallPostgres([] { return RaiseLocalEpoch(); });
    } else {
      EpochSink sink;
      ExecuteOnNode(node, {.sql = kRaiseEpochThere}, &sink);
      raised = sink.epoch();
    }
    if (epoch != 0 && raised != epoch)
      throw Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "the nodes do not agree on the cluster's epoch",
                  "Node " + std::to_string(node) + " would be at " + std::to_string(raised) +
                      ", those before it at " + std::to_string(epoch) + ".",
                  "Bring the node that is behind up to date with teamscale.enable_node().");
    epoch = raised;
  }
  return epoch;
}

void ExecuteOnAllOf(std::span<const core::NodeId> nodes, const std::string& sql) {
  core::NodeId local = RequireMap().local_node();
  std::vector<core::NodeId> remote;
  std::copy_if(nodes.begin(), nodes.end(), std::back_inserter(remote),
               [local](core::NodeId node) { return node != local; });
  if (!remote.empty()) ExecuteOnNodes(remote, {.sql = sql});
  if (remote.size() < nodes.size()) {
    const char* text = sql.c_str();
    CallPostgres([text] { ExecuteLocally(text); });
  }
}

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_begin_catalog_change) {
  using namespace teamscale;
  int64 epoch = 0;
  AsRole(ActingRole(), [&epoch] { epoch = EnterFromPostgres(BeginCatalogChange); });
  PG_RETURN_INT64(epoch);
}

// The remote half of BeginCatalogChange: any user's connection calls it, so it must be a node's.
TEAMSCALE_SQL_FUNCTION(teamscale_raise_epoch) {
  teamscale::RequireRouterStatement(teamscale::kRaiseEpochThere);
  PG_RETURN_INT64(teamscale::RaiseLocalEpoch());
}

TEAMSCALE_SQL_FUNCTION(teamscale_active_nodes) {
  return teamscale::EnterFromPostgres([] {
    std::vector<teamscale::core::NodeId> nodes = teamscale::ActiveNodes();
    auto* begin = nodes.data();
    int count = static_cast<int>(nodes.size());
    return teamscale::CallPostgres([begin, count] {
      auto* elements = static_cast<Datum*>(palloc(sizeof(Datum) * (count + 1)));
      for (int i = 0; i < count; ++i) elements[i] = Int32GetDatum(begin[i]);
      return PointerGetDatum(
          construct_array(elements, count, INT4OID, sizeof(int32), true, TYPALIGN_INT));
    });
  });
}

TEAMSCALE_SQL_FUNCTION(teamscale_execute_on_nodes) {
  Datum* elements;
  int count;
  deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), INT4OID, sizeof(int32), true, TYPALIGN_INT, &elements,
                    nullptr, &count);
  const char* sql = text_to_cstring(PG_GETARG_TEXT_PP(1));
  return teamscale::EnterFromPostgres([&] {
    std::vector<teamscale::core::NodeId> nodes;
    for (int i = 0; i < count; ++i) nodes.push_back(DatumGetInt32(elements[i]));
    teamscale::ExecuteOnAllOf(nodes, sql);
    return Datum{0};
  });
}

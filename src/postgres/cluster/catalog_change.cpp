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

// Who cannot be reached keeps everybody from changing the catalog, until it is left out.
void HintAtDisabling(ErrorData* error, core::NodeId id) {
  if (error->hint || ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_CONNECTION_EXCEPTION) return;
  const core::Node* node = CallPostgres([] { return CurrentShardMap(); })->FindNode(id);
  const char* name = node ? node->name.c_str() : "";
  error->hint = CallPostgres([name] {
    return psprintf(
        "A change of the cluster needs all of its active nodes. Leave out the ones that "
        "are away, \"%s\" for one, with teamscale.disable_node().",
        name);
  });
}

// Raises the epoch of one node after the other.
class EpochRaise {
 public:
  explicit EpochRaise(core::NodeId local) : local_(local) {}

  void On(core::NodeId node) {
    std::int64_t raised =
        node == local_ ? CallPostgres([] { return RaiseLocalEpoch(); }) : RaiseThere(node);
    if (epoch_ == 0) epoch_ = raised;
    if (raised != epoch_ && difference_.empty())
      difference_ = "Node " + std::to_string(node) + " would be at " + std::to_string(raised) +
                    ", those before it at " + std::to_string(epoch_) + ".";
  }

  // All must have come to the same.
  std::int64_t epoch() const {
    if (!difference_.empty())
      throw Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                  "the nodes do not agree on the cluster's epoch", difference_,
                  "Bring the node that is behind up to date with teamscale.enable_node().");
    return epoch_;
  }

 private:
  static std::int64_t RaiseThere(core::NodeId node) {
    EpochSink sink;
    try {
      ExecuteOnNode(node, {.sql = kRaiseEpochThere}, &sink);
    } catch (const RemoteError& error) {
      HintAtDisabling(error.data(), node);
      throw;
    }
    return sink.epoch();
  }

  core::NodeId local_;
  std::int64_t epoch_ = 0;
  std::string difference_;
};

std::vector<core::NodeId> NodesOf(ArrayType* array) {
  Datum* elements;
  int count;
  CallPostgres([&] {
    deconstruct_array(array, INT4OID, sizeof(int32), true, TYPALIGN_INT, &elements, nullptr,
                      &count);
  });
  std::vector<core::NodeId> nodes;
  for (int i = 0; i < count; ++i) nodes.push_back(DatumGetInt32(elements[i]));
  return nodes;
}

}  // namespace

std::vector<core::NodeId> ActiveNodes() {
  std::vector<core::NodeId> nodes;
  for (const core::Node& node : RequireMap().nodes())
    if (node.state == core::NodeState::kActive) nodes.push_back(node.id);
  return nodes;
}

std::int64_t BeginCatalogChange(std::span<const core::NodeId> without) {
  CallPostgres([] { RequireServingNode(); });
  core::NodeId local = RequireMap().local_node();
  auto taking_part = [without] {
    std::vector<core::NodeId> nodes = ActiveNodes();
    std::erase_if(nodes, [without](core::NodeId node) {
      return std::find(without.begin(), without.end(), node) != without.end();
    });
    return nodes;
  };
  EpochRaise raise(local);
  std::vector<core::NodeId> before = taking_part();
  auto up_to_here = std::upper_bound(before.begin(), before.end(), local);
  std::for_each(before.begin(), up_to_here, [&raise](core::NodeId node) { raise.On(node); });
  // From here on nobody else changes this node's catalog. A change that left out nodes is seen by
  // their epochs first: what it did to the nodes comes before that.
  std::vector<core::NodeId> nodes = taking_part();
  auto rest = std::upper_bound(nodes.begin(), nodes.end(), local);
  if (!std::equal(before.begin(), up_to_here, nodes.begin(), rest))
    throw Error(ERRCODE_T_R_SERIALIZATION_FAILURE,
                "the nodes of the cluster changed while this command waited",
                "Another command was changing them.", "Try again.");
  std::for_each(rest, nodes.end(), [&raise](core::NodeId node) { raise.On(node); });
  return raise.epoch();
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
  ArrayType* without = PG_GETARG_ARRAYTYPE_P(0);
  int64 epoch = 0;
  AsRole(ActingRole(), [&] {
    epoch = EnterFromPostgres([without] { return BeginCatalogChange(NodesOf(without)); });
  });
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
  ArrayType* nodes = PG_GETARG_ARRAYTYPE_P(0);
  const char* sql = text_to_cstring(PG_GETARG_TEXT_PP(1));
  return teamscale::EnterFromPostgres([=] {
    teamscale::ExecuteOnAllOf(teamscale::NodesOf(nodes), sql);
    return Datum{0};
  });
}

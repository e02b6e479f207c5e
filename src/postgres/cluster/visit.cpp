#include "teamscale/postgres/cluster/visit.h"

#include <algorithm>

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/cluster/boot.h"
#include "teamscale/postgres/cluster/cluster_row.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/remote.h"
#include "teamscale/postgres/cluster/remote_error.h"
#include "teamscale/postgres/worker/own_transaction.h"

extern "C" {
#include "miscadmin.h"
#include "utils/inval.h"
}

namespace teamscale {

namespace {

// A database's boot id and OID: no two databases have both alike, however one was made from the
// other.
std::string OwnDatabase() {
  const char* own = CallPostgres([] {
    return static_cast<const char*>(
        psprintf("%016llx %u", static_cast<unsigned long long>(ServerBootId()), MyDatabaseId));
  });
  return own;
}

// By functions of pg_catalog alone: whoever may create operators there must not have the settling
// role run them.
std::string Question(core::NodeId self) {
  auto part = [](const std::string& path) {
    return "pg_catalog.jsonb_extract_path_text(i, " + path + ")";
  };
  return "SELECT pg_catalog.concat(" + part("'database', 'boot'") + ", ' ', " +
         part("'database', 'oid'") + "), " + part("'cluster'") + ", COALESCE(" + part("'node'") +
         ", '0'), COALESCE(" + part("'epoch'") + ", '0'), " +
         part("'states', '" + std::to_string(self) + "'") +
         " FROM teamscale_internal.node_identity() AS i";
}

core::NodeReport Ask(Connection& connection, core::NodeId self) {
  ResultPointer result = connection.Execute(Question(self));
  auto text = [&result](int column) { return std::string(PQgetvalue(result.get(), 0, column)); };
  core::NodeReport report;
  report.database = text(0);
  report.cluster = text(1);
  report.node = std::stoi(text(2));
  report.epoch = std::stoll(text(3));
  report.state_of_asker = text(4);
  return report;
}

std::optional<Self> ReadCatalog() {
  const core::ShardMap* map = CallPostgres([] {
    AcceptInvalidationMessages();
    return CurrentShardMap();
  });
  if (!map) return std::nullopt;
  ClusterRow cluster = CallPostgres([] { return ReadClusterRow(); });
  Self self;
  self.report.database = OwnDatabase();
  self.report.cluster = cluster.id;
  self.report.node = map->local_node();
  self.report.epoch = map->epoch();
  self.role = cluster.settling_role;
  self.nodes = map->nodes();
  return self;
}

}  // namespace

const core::Node* Self::own_node() const {
  auto found = std::find_if(nodes.begin(), nodes.end(),
                            [this](const core::Node& node) { return node.id == report.node; });
  return found == nodes.end() ? nullptr : &*found;
}

std::optional<Self> ReadSelf() {
  std::optional<Self> self;
  CallPostgres([&self] {
    WithTransaction([&self] { EnterFromPostgres([&self] { self = ReadCatalog(); }); });
  });
  return self;
}

Visit VisitDatabase(const core::Node& node, const Self& self) {
  Visit visit{.node = node, .connection = nullptr};
  try {
    auto connection = std::make_unique<Connection>(node.conninfo, self.role,
                                                   "node \"" + node.name + "\"", node.id);
    visit.report = Ask(*connection, self.report.node);
    visit.connection = std::move(connection);
  } catch (const RemoteError& error) {
    visit.failure = ReasonOf(error);
  }
  return visit;
}

Round VisitNodes(const Self& self, Visited which) {
  Round round;
  if (const core::Node* own = self.own_node()) round.own = VisitDatabase(*own, self);
  // Who is not the node asks nobody.
  if (round.own.report.database != self.report.database) return round;
  for (const core::Node& node : self.nodes)
    if (node.id != self.report.node &&
        (which == Visited::kAll || node.state == core::NodeState::kActive))
      round.others.push_back(VisitDatabase(node, self));
  return round;
}

core::Judgement Judge(const Self& self, const Round& round) {
  std::optional<core::NodeReport> own;
  if (round.own.connection) own = round.own.report;
  std::vector<core::NodeReport> others;
  bool has_others = false;
  for (const Visit& visit : round.others) {
    bool left_out = visit.node.state != core::NodeState::kActive;
    has_others = has_others || !left_out;
    // Whoever answers in another's place says nothing of the cluster.
    if (!visit.connection || visit.report.node != visit.node.id) continue;
    others.push_back(visit.report);
    others.back().left_out = left_out;
  }
  return core::Judge(self.report, own, others, has_others);
}

}  // namespace teamscale

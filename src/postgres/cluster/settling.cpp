#include "teamscale/postgres/cluster/settling.h"

#include <algorithm>
#include <map>
#include <set>

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/cluster/boot.h"
#include "teamscale/postgres/cluster/commit_record.h"
#include "teamscale/postgres/cluster/connection.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/node_state.h"
#include "teamscale/postgres/cluster/remote.h"

namespace teamscale {

namespace {

constexpr Oid kText = 25;

bool IsInterrupt(const PostgresError& error) {
  int category = ERRCODE_TO_CATEGORY(error.data()->sqlerrcode);
  return category == ERRCODE_OPERATOR_INTERVENTION && !dynamic_cast<const RemoteError*>(&error);
}

// One node's share of a round.
class NodeRound {
 public:
  NodeRound(const Decisions& decisions, const core::Node& node, SettlingResult* result)
      : decisions_(decisions), node_(node), result_(result) {
    for (const CommitRecord& record : decisions.records)
      if (record.node == node.id) recorded_.insert(record.gid);
  }

  void Run() {
    Connection connection(node_.conninfo, decisions_.role, "node \"" + node_.name + "\"", node_.id);
    std::set<std::string> prepared = List(connection);
    for (const std::string& gid : recorded_)
      if (!prepared.contains(gid)) result_->arrived.push_back(gid);
    for (const std::string& gid : prepared) Finish(connection, gid);
  }

 private:
  std::set<std::string> List(Connection& connection) {
    std::string prefix = core::GidPrefix(decisions_.cluster, decisions_.router);
    ResultPointer result = connection.Execute(
        "SELECT gid FROM pg_catalog.pg_prepared_xacts "
        "WHERE database OPERATOR(pg_catalog.=) pg_catalog.current_database() "
        "AND pg_catalog.starts_with(gid, $1)",
        {{.type = kText, .is_null = false, .binary = false, .value = prefix}}, false);
    std::set<std::string> gids;
    for (int row = 0; row < PQntuples(result.get()); ++row)
      gids.insert(PQgetvalue(result.get(), row, 0));
    return gids;
  }

  void Finish(Connection& connection, const std::string& text) {
    std::optional<core::Gid> gid = core::ParseGid(text);
    if (!gid) return;
    switch (core::Settle(*gid, recorded_.contains(text), decisions_.boot, decisions_.snapshot)) {
      case core::Settlement::kLeave:
        return Report(text, "left: its transaction is running");
      case core::Settlement::kCommit:
        // A standby that took over without this record would roll the transaction back.
        if (!StandbysHave(decisions_.position))
          return Report(text, "left: a synchronous standby has not confirmed the decision");
        return Command(connection, text, "COMMIT PREPARED", "committed");
      case core::Settlement::kRollBack:
        return Command(connection, text, "ROLLBACK PREPARED", "rolled back");
    }
  }

  // The gid is one that ParseGid accepted, but for the cluster's part: quoted all the same.
  void Command(Connection& connection, const std::string& gid, const char* command,
               const char* action) {
    const char* name = gid.c_str();
    std::string quoted = CallPostgres([name] { return static_cast<const char*>(QuoteGid(name)); });
    try {
      connection.Execute(std::string(command) + " " + quoted);
      Report(gid, action);
    } catch (const RemoteError& error) {
      if (!connection.usable()) throw;
      // Another round was faster.
      if (error.data()->sqlerrcode == ERRCODE_UNDEFINED_OBJECT) return;
      Report(gid, std::string("left: ") + error.what());
    }
  }

  void Report(const std::string& gid, std::string action) {
    result_->steps.push_back({gid, node_.name, std::move(action)});
  }

  const Decisions& decisions_;
  const core::Node& node_;
  SettlingResult* result_;
  std::set<std::string> recorded_;
};

}  // namespace

std::optional<Decisions> ReadDecisions() {
  const core::ShardMap* map = CallPostgres([] { return CurrentShardMap(); });
  if (!map || !LoadedAtServerStart()) return std::nullopt;
  if (!CallPostgres([] { return IsServingNode(); })) return std::nullopt;
  RecordsAtSnapshot read = CallPostgres([] { return ReadCommitRecords(); });
  std::optional<core::Snapshot> snapshot = core::Snapshot::Parse(read.snapshot);
  if (!snapshot) throw Error(ERRCODE_INTERNAL_ERROR, "a snapshot's text cannot be read");
  Decisions decisions{.snapshot = *snapshot,
                      .records = {},
                      .position = read.position,
                      .boot = ServerBootId(),
                      .cluster = read.cluster,
                      .role = read.settling_role,
                      .router = map->local_node(),
                      .nodes = map->nodes()};
  for (int i = 0; i < read.count; ++i) decisions.records.push_back({read.gids[i], read.nodes[i]});
  return decisions;
}

SettlingResult Settle(const Decisions& decisions) {
  SettlingResult result;
  for (const core::Node& node : decisions.nodes) {
    // What this node itself wrote was decided together with the record.
    if (node.id == decisions.router) continue;
    try {
      NodeRound(decisions, node, &result).Run();
    } catch (const PostgresError& error) {
      if (IsInterrupt(error)) throw;
      // Unknown is not empty: no record of this node goes.
      std::string reason = error.what();
      if (error.data()->detail) reason.append(": ").append(error.data()->detail);
      result.steps.push_back({"", node.name, "not reached: " + reason});
    }
  }
  return result;
}

void ForgetRecords(const std::vector<std::string>& gids) {
  if (gids.empty()) return;
  std::vector<const char*> names;
  for (const std::string& gid : gids) names.push_back(gid.c_str());
  std::sort(names.begin(), names.end(),
            [](const char* a, const char* b) { return std::string_view(a) < b; });
  const char* const* first = names.data();
  std::size_t count = names.size();
  CallPostgres([=] { DeleteCommitRecords(first, count); });
}

}  // namespace teamscale

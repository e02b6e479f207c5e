#include "teamscale/postgres/cluster/settling.h"

#include <algorithm>
#include <set>

#include "teamscale/core/cluster/settlement.h"
#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/cluster/boot.h"
#include "teamscale/postgres/cluster/commit_record.h"
#include "teamscale/postgres/cluster/node_state.h"
#include "teamscale/postgres/cluster/outside_database.h"
#include "teamscale/postgres/cluster/remote.h"
#include "teamscale/postgres/cluster/remote_error.h"
#include "teamscale/postgres/cluster/visit.h"
#include "teamscale/postgres/worker/own_transaction.h"

namespace teamscale {

namespace {

constexpr Oid kText = 25;

// --- Where to look ------------------------------------------------------------------------------

// A database in which this router may have left prepared transactions.
struct Place {
  core::Node node;
  std::optional<OutsideDatabase> outside = {};
  std::unique_ptr<Connection> connection = {};
  std::string failure = {};  // why there is no connection
};

Place Reach(const core::Node& node, const std::string& role) {
  Place place{.node = node};
  try {
    place.connection =
        std::make_unique<Connection>(node.conninfo, role, "node \"" + node.name + "\"", node.id);
  } catch (const RemoteError& error) {
    place.failure = ReasonOf(error);
  }
  return place;
}

// The nodes that the round has visited, and databases outside of the cluster.
std::vector<Place> ReachPlaces(const Self& self, Round* round) {
  std::vector<Place> places;
  for (Visit& visit : round->others)
    places.push_back({.node = visit.node,
                      .connection = std::move(visit.connection),
                      .failure = std::move(visit.failure)});
  for (const OutsideDatabase& outside : ReadOutsideDatabases().databases) {
    places.push_back(Reach(
        {.id = outside.node, .name = outside.conninfo, .conninfo = outside.conninfo}, self.role));
    places.back().outside = outside;
  }
  return places;
}

// --- What is decided ----------------------------------------------------------------------------

struct CommitRecord {
  std::string gid;
  core::NodeId node;
};

// All of one instant, but for what the catalog names: that may be newer.
struct Decisions {
  core::Snapshot snapshot;
  std::vector<CommitRecord> records;
  // A position in the log behind all of these records.
  XLogRecPtr position;
  std::uint64_t boot;
  Self self;
  OutsideDatabases outside;

  // A place that has changed hands since it was reached may not be the one that a record means.
  bool StillNames(const Place& place) const {
    if (place.outside)
      return std::any_of(outside.databases.begin(), outside.databases.end(),
                         [&place](const OutsideDatabase& database) {
                           return database.node == place.outside->node &&
                                  database.conninfo == place.outside->conninfo &&
                                  database.since == place.outside->since;
                         });
    return std::any_of(self.nodes.begin(), self.nodes.end(), [&place](const core::Node& node) {
      return node.id == place.node.id && node.conninfo == place.node.conninfo;
    });
  }
};

std::optional<Decisions> ReadDecisions() {
  RecordsAtSnapshot read{};
  std::optional<core::Snapshot> snapshot;
  std::vector<CommitRecord> records;
  CallPostgres([&] {
    WithTransaction([&] {
      read = ReadCommitRecords();
      EnterFromPostgres([&] {
        snapshot = core::Snapshot::Parse(read.snapshot);
        for (int i = 0; i < read.count; ++i) records.push_back({read.gids[i], read.nodes[i]});
      });
    });
  });
  if (!snapshot) throw Error(ERRCODE_INTERNAL_ERROR, "a snapshot's text cannot be read");
  std::optional<Self> self = ReadSelf();
  if (!self) return std::nullopt;
  return Decisions{.snapshot = *snapshot,
                   .records = std::move(records),
                   .position = read.position,
                   .boot = ServerBootId(),
                   .self = std::move(*self),
                   .outside = ReadOutsideDatabases()};
}

// --- Carrying it out ----------------------------------------------------------------------------

// One place's share of a round.
class PlaceRound {
 public:
  PlaceRound(const Decisions& decisions, const Place& place, std::vector<SettlingStep>* steps)
      : decisions_(decisions), place_(place), steps_(steps) {
    for (const CommitRecord& record : decisions.records)
      if (record.node == place.node.id) recorded_.insert(record.gid);
  }

  // Gives the records that are no longer needed.
  std::vector<std::string> Run() {
    Connection& connection = *place_.connection;
    std::set<std::string> prepared = List(connection);
    empty_ = prepared.empty();
    std::vector<std::string> arrived;
    for (const std::string& gid : recorded_)
      if (!prepared.contains(gid)) arrived.push_back(gid);
    for (const std::string& gid : prepared) Finish(connection, gid);
    return arrived;
  }

  bool empty() const { return empty_; }

 private:
  std::set<std::string> List(Connection& connection) {
    std::string prefix = core::GidPrefix(decisions_.self.report.cluster, router());
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

  core::NodeId router() const { return decisions_.self.report.node; }

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
    steps_->push_back({gid, place_.node.name, std::move(action)});
  }

  const Decisions& decisions_;
  const Place& place_;
  std::vector<SettlingStep>* steps_;
  std::set<std::string> recorded_;
  bool empty_ = false;
};

struct Settled {
  std::vector<SettlingStep> steps;
  std::vector<std::string> arrived;
  std::vector<OutsideDatabase> empty;
};

void SettlePlace(const Decisions& decisions, const Place& place, Settled* settled) {
  // Unknown is not empty: no record of this place goes.
  if (!place.connection) {
    settled->steps.push_back({"", place.node.name, "not reached: " + place.failure});
    return;
  }
  try {
    PlaceRound round(decisions, place, &settled->steps);
    std::vector<std::string> arrived = round.Run();
    settled->arrived.insert(settled->arrived.end(), arrived.begin(), arrived.end());
    if (place.outside && round.empty()) settled->empty.push_back(*place.outside);
  } catch (const RemoteError& error) {
    settled->steps.push_back({"", place.node.name, "not reached: " + ReasonOf(error)});
  }
}

void ForgetRecords(std::vector<std::string> gids) {
  if (gids.empty()) return;
  std::sort(gids.begin(), gids.end());
  std::vector<const char*> names;
  for (const std::string& gid : gids) names.push_back(gid.c_str());
  const char* const* first = names.data();
  std::size_t count = names.size();
  CallPostgres([=] { WithTransaction([=] { DeleteCommitRecords(first, count); }); });
}

}  // namespace

std::optional<std::vector<SettlingStep>> SettleOnce() {
  // A change of the catalog that this very transaction makes is not over.
  bool may_forget_places = !IsTransactionState();
  std::optional<Self> self = ReadSelf();
  if (!self || !LoadedAtServerStart()) return std::nullopt;
  Round round = VisitNodes(*self, Visited::kAll);
  if (!NoteRound(*self, round)) {
    if (round.own.connection) return std::nullopt;
    return std::vector<SettlingStep>{
        {"", round.own.node.name, "not reached: " + round.own.failure}};
  }
  std::vector<Place> places = ReachPlaces(*self, &round);
  std::optional<Decisions> decisions = ReadDecisions();
  if (!decisions) return std::nullopt;
  Settled settled;
  for (const Place& place : places)
    if (decisions->StillNames(place)) SettlePlace(*decisions, place, &settled);
  ForgetRecords(std::move(settled.arrived));
  if (may_forget_places && decisions->outside.quiet) ForgetOutsideDatabases(settled.empty);
  return std::move(settled.steps);
}

}  // namespace teamscale

#include "teamscale/postgres/cluster/remote.h"

#include <exception>

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/remote_transaction.h"

extern "C" {
#include "miscadmin.h"
}

namespace teamscale {

RemoteOutcome ExecuteOnNode(core::NodeId node, const RemoteStatement& statement, RowSink* sink) {
  return ExecuteOnNodes({&node, 1}, statement, sink).front();
}

std::vector<RemoteOutcome> ExecuteOnNodes(std::span<const core::NodeId> nodes,
                                          const RemoteStatement& statement, RowSink* sink) {
  std::vector<RemoteSession*> sessions;
  for (core::NodeId node : nodes) {
    RemoteSession& session = UseSession(node, statement.effect);
    session.Join(statement.effect, statement.alone);
    sessions.push_back(&session);
  }
  for (RemoteSession* session : sessions) session->Send(statement, sink != nullptr);

  std::vector<RemoteOutcome> outcomes;
  std::exception_ptr first;
  for (RemoteSession* session : sessions) {
    try {
      outcomes.push_back(session->ReadAnswer(statement, sink));
    } catch (const PostgresError& error) {
      // An interrupt ends the waiting for all; an error of one node leaves the others to be read.
      if (ERRCODE_TO_CATEGORY(error.data()->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION) throw;
      if (!first) first = std::current_exception();
    } catch (...) {
      if (!first) first = std::current_exception();
    }
  }
  if (first) std::rethrow_exception(first);
  return outcomes;
}

namespace {

class SinkOfOne {
 public:
  SinkOfOne(RowSink* sink, core::NodeId node) : sink_(sink), node_(node) {}
  void Take(const PGresult* result) {
    for (int row = 0; sink_ && row < PQntuples(result); ++row) sink_->Row(node_, result, row);
  }

 private:
  RowSink* sink_;
  core::NodeId node_;
};

}  // namespace

RemoteOutcome ExecuteOutsideTransaction(core::NodeId id, const std::string& sql, RowSink* sink,
                                        const char* user) {
  const core::ShardMap* map = CallPostgres([] { return CurrentShardMap(); });
  const core::Node* node = map ? map->FindNode(id) : nullptr;
  if (!node)
    throw Error(ERRCODE_UNDEFINED_OBJECT, "node " + std::to_string(id) + " does not exist");
  std::string role =
      user ? user : CallPostgres([] { return GetUserNameFromId(GetUserId(), false); });
  RemoteSession session(*node, role);
  std::string commands = SettingsCommands({}, CurrentSessionSettings());
  session.connection().Execute(commands);
  ResultPointer result = session.connection().Execute(sql);
  RemoteOutcome outcome;
  if (!result) return outcome;
  SinkOfOne(sink, id).Take(result.get());
  outcome.tag = PQcmdStatus(result.get());
  if (const char* rows = PQcmdTuples(result.get()); *rows) outcome.rows = std::stoull(rows);
  return outcome;
}

}  // namespace teamscale

#include "teamscale/postgres/cluster/remote.h"

#include <exception>
#include <memory>

#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/cluster/remote_transaction.h"

extern "C" {
#include "miscadmin.h"
#include "utils/acl.h"
}

namespace teamscale {

RemoteOutcome ExecuteOnNode(core::NodeId node, const RemoteStatement& statement, RowSink* sink) {
  return ExecuteOnNodes({&node, 1}, statement, sink).front();
}

std::vector<RemoteOutcome> ExecuteOnNodes(std::span<const core::NodeId> nodes,
                                          const RemoteStatement& statement, RowSink* sink) {
  std::vector<RemoteSession*> sessions;
  for (core::NodeId node : nodes) {
    sessions.push_back(&UseSession(node, statement.effect));
  }
  for (RemoteSession* session : sessions) session->Send(statement, sink != nullptr);

  std::vector<RemoteOutcome> outcomes;
  std::exception_ptr first;
  for (RemoteSession* session : sessions) {
    try {
      outcomes.push_back(session->ReadAnswer(statement, sink));
    } catch (const RemoteError&) {
      // The others are read all the same. An interrupt or an error of the sink ends the waiting for
      // all: what they still send is read when the transaction, or its part, is rolled back.
      if (!first) first = std::current_exception();
    }
  }
  if (first) std::rethrow_exception(first);
  return outcomes;
}

RemoteOutcome ExecuteOutsideTransaction(core::NodeId id, const std::string& sql, RowSink* sink,
                                        const char* user) {
  const core::Node& node = RequireReachableNode(id);
  Oid role = user ? CallPostgres([user] { return get_role_oid(user, false); }) : GetUserId();
  std::unique_ptr<RemoteSession> session = OpenSession(node, role);
  session->SendSettings();
  RemoteStatement statement{.sql = sql, .alone = true};
  session->Send(statement, sink != nullptr);
  return session->ReadAnswer(statement, sink);
}

}  // namespace teamscale

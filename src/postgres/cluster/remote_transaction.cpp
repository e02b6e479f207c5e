// One transaction over several nodes: anchors of the protocol are in docs/transactions.md.
//
// PRE_COMMIT   participants that only read are committed; one that wrote alone is committed;
// several
//              are prepared, all answers awaited, and a commit record for each goes into the local
//              transaction. Whatever fails here aborts cleanly.
// COMMIT       the local commit was the decision. COMMIT PREPARED goes to all, without any error;
//              what fails is settled by the maintenance worker.
// ABORT        ROLLBACK, and ROLLBACK PREPARED where a transaction may be prepared, best effort.
#include "teamscale/postgres/cluster/remote_transaction.h"

#include <map>
#include <memory>
#include <vector>

#include "teamscale/core/cluster/gid.h"
#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/cluster/boot.h"
#include "teamscale/postgres/cluster/commit_record.h"
#include "teamscale/postgres/cluster/maintenance.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/node_session.h"
#include "teamscale/postgres/cluster/node_state.h"

extern "C" {
#include "access/transam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "replication/syncrep.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
}

namespace teamscale {

namespace {

using SessionKey = std::pair<core::NodeId, Oid>;  // node and user

std::map<SessionKey, std::unique_ptr<RemoteSession>>& Sessions() {
  static std::map<SessionKey, std::unique_ptr<RemoteSession>> sessions;
  return sessions;
}

std::vector<RemoteSession*> Participants() {
  std::vector<RemoteSession*> participants;
  for (auto& [key, session] : Sessions())
    if (session->in_transaction()) participants.push_back(session.get());
  return participants;
}

void CloseSessions(bool (*goes)(const RemoteSession&)) noexcept {
  std::erase_if(Sessions(), [goes](auto& entry) { return goes(*entry.second); });
}

// --- Before the commit
// ----------------------------------------------------------------------------

// Sends the same command to all and awaits every answer; throws the first error then.
void CommandAll(const std::vector<RemoteSession*>& sessions, const std::string& command) {
  std::exception_ptr first;
  auto attempt = [&first](auto&& step) {
    try {
      step();
      return true;
    } catch (...) {
      if (!first) first = std::current_exception();
      return false;
    }
  };
  std::vector<RemoteSession*> sent;
  for (RemoteSession* session : sessions)
    if (attempt([&] { session->SendCommand(command); })) sent.push_back(session);
  for (RemoteSession* session : sent)
    if (attempt([&] { session->ExpectCommand(); })) session->LeaveTransaction();
  if (first) std::rethrow_exception(first);
}

// The only participant that wrote, and nothing was written here: its commit is the commit.
void CommitAlone(RemoteSession* session) {
  session->SendCommand("COMMIT");
  try {
    ResultPointer result = session->ExpectCommand();
    // A transaction that had failed there answers ROLLBACK.
    if (std::string_view(PQcmdStatus(result.get())) != "COMMIT")
      throw Error(ERRCODE_T_R_INTEGRITY_CONSTRAINT_VIOLATION,
                  session->connection().what() + " rolled the transaction back");
  } catch (...) {
    if (session->connection().usable()) throw;
    throw Error(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN, "the outcome of the transaction is unknown",
                "The connection to " + session->connection().what() +
                    " was lost after COMMIT had been sent: it may be committed there or not.",
                "Look at the rows before you repeat the transaction.");
  }
  session->LeaveTransaction();
}

core::Gid NewGid() {
  core::Gid gid;
  gid.cluster = CallPostgres([] { return ClusterId(); });
  gid.router = CallPostgres([] { return CurrentShardMap(); })->local_node();
  gid.boot = ServerBootId();
  gid.transaction =
      CallPostgres([] { return U64FromFullTransactionId(GetTopFullTransactionId()); });
  if (!pg_strong_random(&gid.random, sizeof(gid.random)))
    throw Error(ERRCODE_INTERNAL_ERROR, "could not draw random bits for a transaction's name");
  return gid;
}

void PrepareAll(const std::vector<RemoteSession*>& writers) {
  core::Gid gid = NewGid();
  std::exception_ptr first;
  for (RemoteSession* session : writers) {
    ++gid.number;
    // From here on it may be prepared there, whatever answer comes.
    session->MarkPrepared(core::FormatGid(gid));
    try {
      session->SendCommand("PREPARE TRANSACTION '" + session->prepared_gid() + "'");
    } catch (...) {
      if (!first) first = std::current_exception();
    }
  }
  for (RemoteSession* session : writers) {
    try {
      if (!session->connection().usable()) continue;
      ResultPointer result = session->ExpectCommand();
      if (std::string_view(PQcmdStatus(result.get())) != "PREPARE TRANSACTION")
        throw Error(ERRCODE_T_R_INTEGRITY_CONSTRAINT_VIOLATION,
                    session->connection().what() + " rolled the transaction back");
    } catch (...) {
      if (!first) first = std::current_exception();
    }
  }
  if (first) std::rethrow_exception(first);
  for (RemoteSession* session : writers) {
    const char* name = session->prepared_gid().c_str();
    core::NodeId node = session->node();
    CallPostgres([=] { InsertCommitRecord(name, node); });
  }
  CallPostgres([] {
    // The decision must be durable before anybody acts on it, on the standbys too where there are
    // synchronous ones.
    ForceSyncCommit();
    bool has_standbys = SyncRepStandbyNames && *SyncRepStandbyNames;
    if (has_standbys && synchronous_commit <= SYNCHRONOUS_COMMIT_LOCAL_FLUSH)
      set_config_option("synchronous_commit", "on", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL,
                        true, ERROR, false);
  });
}

void BeforeCommit() {
  std::vector<RemoteSession*> readers, writers;
  for (RemoteSession* session : Participants())
    (session->wrote() ? writers : readers).push_back(session);
  if (readers.empty() && writers.empty()) return;
  for (RemoteSession* session : Participants())
    if (!session->usable())
      throw Error(ERRCODE_CONNECTION_FAILURE,
                  "lost the connection to " + session->connection().what(),
                  "The transaction cannot be committed.");
  CommandAll(readers, "COMMIT");
  if (writers.empty()) return;
  bool wrote_here = TransactionIdIsValid(GetTopTransactionIdIfAny());
  if (writers.size() == 1 && !wrote_here)
    CommitAlone(writers.front());
  else
    PrepareAll(writers);
}

void BeforePrepare() {
  if (Participants().empty()) return;
  throw Error(ERRCODE_FEATURE_NOT_SUPPORTED,
              "cannot PREPARE a transaction that has used other nodes", "",
              "COMMIT it: a transaction over several nodes is committed in two phases by itself.");
}

// --- After the decision
// ---------------------------------------------------------------------------

// An error here would be a PANIC.
void AfterCommit() noexcept {
  try {
    std::vector<RemoteSession*> sent;
    std::vector<RemoteSession*> participants = Participants();
    for (RemoteSession* session : participants)
      if (!session->prepared_gid().empty() &&
          session->connection().SendQuietly("COMMIT PREPARED '" + session->prepared_gid() + "'"))
        sent.push_back(session);
    for (RemoteSession* session : sent) {
      std::string sqlstate;
      // "Does not exist": the worker was faster.
      if (!session->connection().FinishQuietly(&sqlstate) && sqlstate != "42704") {
        std::string text = "the transaction is committed, but " + session->connection().what() +
                           " has not confirmed it yet";
        const char* message = text.c_str();
        CallPostgres([=] {
          ereport(WARNING, (errmsg("%s", message),
                            errdetail("The maintenance worker settles it as soon as the node "
                                      "answers; until then its rows stay locked there.")));
        });
        RequestSettling();
      }
    }
    for (RemoteSession* session : participants) session->LeaveTransaction();
  } catch (...) {
  }
  CloseSessions([](const RemoteSession& session) { return !session.usable(); });
}

void AfterAbort() noexcept {
  for (auto& [key, session] : Sessions())
    if (session->in_transaction() || !session->usable() || !session->connection().idle())
      session->Abort();
  CloseSessions([](const RemoteSession& session) { return !session.usable(); });
}

void OnTransactionEvent(XactEvent event, void*) {
  if (Sessions().empty()) return;
  switch (event) {
    case XACT_EVENT_PRE_COMMIT:
      EnterFromPostgres(BeforeCommit);
      break;
    case XACT_EVENT_PRE_PREPARE:
      EnterFromPostgres(BeforePrepare);
      break;
    case XACT_EVENT_COMMIT:
      AfterCommit();
      break;
    case XACT_EVENT_ABORT:
      AfterAbort();
      break;
    default:
      break;
  }
}

void OnSubtransactionEvent(SubXactEvent event, SubTransactionId, SubTransactionId, void*) {
  if (Sessions().empty()) return;
  int level = GetCurrentTransactionNestLevel();
  if (event == SUBXACT_EVENT_PRE_COMMIT_SUB) {
    EnterFromPostgres([level] {
      for (RemoteSession* session : Participants()) session->CommitSubtransaction(level);
    });
  } else if (event == SUBXACT_EVENT_ABORT_SUB) {
    for (auto& [key, session] : Sessions()) session->AbortSubtransaction(level);
  }
}

void OnExit(int, Datum) { Sessions().clear(); }

// --- Use
// --------------------------------------------------------------------------------------------

// Two users' connections to one node would not see each other's writes.
void CheckOtherUsers(const core::Node& node, Oid user, Effect effect) {
  for (auto& [key, session] : Sessions()) {
    if (key.first != node.id || key.second == user || !session->in_transaction()) continue;
    if (!session->wrote() && effect != Effect::kWrites) continue;
    Oid other = key.second;
    const char* here = CallPostgres([user] { return GetUserNameFromId(user, true); });
    const char* there = CallPostgres([other] { return GetUserNameFromId(other, true); });
    throw Error(ERRCODE_FEATURE_NOT_SUPPORTED,
                "two roles cannot use node \"" + node.name +
                    "\" in one transaction once one of them has written there",
                "Role \"" + std::string(here ? here : "?") + "\" meets role \"" +
                    std::string(there ? there : "?") + "\".",
                "Do it as one role, or in two transactions.");
  }
}

// What is SERIALIZABLE on each of two nodes is not serializable over both.
void CheckIsolation(const core::Node& node) {
  if (XactIsoLevel != XACT_SERIALIZABLE) return;
  for (RemoteSession* session : Participants())
    if (session->node() != node.id)
      throw Error(
          ERRCODE_FEATURE_NOT_SUPPORTED, "a SERIALIZABLE transaction cannot use more than one node",
          "It would use node \"" + node.name + "\" besides " + session->connection().what() + ".",
          "Use REPEATABLE READ, and see what it means over several nodes.");
}

}  // namespace

void InitRemoteTransaction() {
  RegisterXactCallback(OnTransactionEvent, nullptr);
  RegisterSubXactCallback(OnSubtransactionEvent, nullptr);
}

RemoteSession& UseSession(core::NodeId id, Effect effect) {
  if (InNodeSession())
    throw Error(
        ERRCODE_FEATURE_NOT_SUPPORTED,
        "a statement that another node sent cannot reach further nodes",
        "A trigger, a default, a policy or a function of it asks for rows that this node does "
        "not hold.",
        "Let it touch only rows with the same sharding key.");
  CallPostgres([] { RequireServingNode(); });
  const core::ShardMap* map = CallPostgres([] { return CurrentShardMap(); });
  const core::Node* node = map ? map->FindNode(id) : nullptr;
  if (!node)
    throw Error(ERRCODE_UNDEFINED_OBJECT, "node " + std::to_string(id) + " does not exist");
  if (node->state != core::NodeState::kActive)
    throw Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "node \"" + node->name + "\" is disabled",
                "", "Bring it back with teamscale.enable_node().");
  Oid user = GetUserId();
  CheckOtherUsers(*node, user, effect);
  CheckIsolation(*node);

  static bool exit_registered = false;
  if (!exit_registered) {
    CallPostgres([] { before_shmem_exit(OnExit, Datum{0}); });
    exit_registered = true;
  }
  auto found = Sessions().find({id, user});
  if (found != Sessions().end() && !found->second->in_transaction() &&
      (!found->second->usable() || found->second->conninfo() != node->conninfo)) {
    Sessions().erase(found);
    found = Sessions().end();
  }
  if (found == Sessions().end()) {
    const char* role = CallPostgres([user] { return GetUserNameFromId(user, false); });
    auto session = std::make_unique<RemoteSession>(*node, role);
    found = Sessions().emplace(SessionKey{id, user}, std::move(session)).first;
  }
  if (!found->second->usable())
    throw Error(ERRCODE_CONNECTION_FAILURE, "lost the connection to node \"" + node->name + "\"",
                "What this transaction did there is lost.", "Roll back and try again.");
  return *found->second;
}

void CloseIdleSessions() {
  CloseSessions([](const RemoteSession& session) { return !session.in_transaction(); });
}

}  // namespace teamscale

// One transaction over several nodes; the protocol is told in docs/transactions.md.
//
// PRE_COMMIT   participants that only read are committed; one that wrote alone is committed;
// several
//              are prepared, all answers awaited, and a commit record for each goes into the local
//              transaction. Whatever fails here aborts cleanly.
// COMMIT       the local commit was the decision. COMMIT PREPARED goes to all, without any error;
//              what fails is settled by the maintenance worker.
// ABORT        ROLLBACK, and ROLLBACK PREPARED where a transaction may be prepared, best effort.
#include "teamscale/postgres/cluster/remote_transaction.h"

#include <algorithm>
#include <map>
#include <memory>
#include <vector>

#include "teamscale/core/cluster/gid.h"
#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/boundary/wait_point.h"
#include "teamscale/postgres/cluster/boot.h"
#include "teamscale/postgres/cluster/cluster_row.h"
#include "teamscale/postgres/cluster/commit_record.h"
#include "teamscale/postgres/cluster/constraint_modes.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/node_session.h"
#include "teamscale/postgres/cluster/node_state.h"
#include "teamscale/postgres/cluster/settling.h"
#include "teamscale/postgres/cluster/settling_task.h"

extern "C" {
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "replication/syncrep.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
}

namespace teamscale {

namespace {

using SessionKey = std::pair<core::NodeId, Oid>;  // node and user

// Left alone when the process ends: OnExit has closed them while that could still be done well.
std::map<SessionKey, std::unique_ptr<RemoteSession>>& Sessions() {
  static auto* sessions = new std::map<SessionKey, std::unique_ptr<RemoteSession>>;
  return *sessions;
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

// --- Before the commit ---------------------------------------------------------------------------

// Sends a command to each session and awaits every answer, then throws the first error: whatever
// happens, it is known afterwards what each has done, or its connection is broken.
class Command {
 public:
  template <typename Text>
  void Send(const std::vector<RemoteSession*>& sessions, Text&& text) {
    for (RemoteSession* session : sessions) {
      try {
        session->SendCommand(text(*session));
        sent_.push_back(session);
      } catch (...) {
        Keep();
      }
    }
  }

  // Calls done(session) for each that answered with the tag.
  template <typename Done>
  void Await(std::string_view tag, Done&& done) {
    for (RemoteSession* session : sent_) {
      std::string answered;
      try {
        // After an interrupt nobody waits for long: what runs there is cancelled.
        if (interrupted_) {
          answered = Cancel(session);
        } else {
          ResultPointer result = session->ExpectCommand();
          answered = PQcmdStatus(result.get());
        }
      } catch (const RemoteError&) {
        Keep();
        continue;
      } catch (...) {
        Keep();
        interrupted_ = true;
        answered = Cancel(session);
      }
      if (answered == tag)
        done(session);
      else if (!first_)
        first_ = std::make_exception_ptr(
            Error(ERRCODE_T_R_INTEGRITY_CONSTRAINT_VIOLATION,
                  session->connection().what() + " rolled the transaction back"));
    }
  }

  void ThrowFirst() const {
    if (first_) std::rethrow_exception(first_);
  }

 private:
  void Keep() {
    if (!first_) first_ = std::current_exception();
  }

  // The tag of the command, if it succeeded before the cancel came.
  static std::string Cancel(RemoteSession* session) {
    std::string tag;
    session->connection().CancelAndDrain([&tag](const PGresult* result) {
      if (PQresultStatus(result) == PGRES_COMMAND_OK)
        tag = PQcmdStatus(const_cast<PGresult*>(result));
    });
    return tag;
  }

  std::vector<RemoteSession*> sent_;
  std::exception_ptr first_;
  bool interrupted_ = false;
};

// What was only read there needs no decision. It fails here or never.
void CommitReaders(const std::vector<RemoteSession*>& readers) {
  Command command;
  command.Send(readers, [](RemoteSession&) { return "COMMIT"; });
  command.Await("COMMIT", [](RemoteSession* session) { session->LeaveTransaction(); });
  command.ThrowFirst();
}

// The only participant that wrote, and nothing was written here: its commit is the commit.
void CommitAlone(RemoteSession* session) {
  bool committed = false;
  CallPostgres([] { TEAMSCALE_WAIT_POINT("only participant not committed"); });
  Command command;
  command.Send({session}, [](RemoteSession&) { return "COMMIT"; });
  command.Await("COMMIT", [&committed](RemoteSession*) { committed = true; });
  if (committed) {
    // An interrupt that came too late to stop it changes nothing, as in any commit.
    session->LeaveTransaction();
  } else if (session->connection().idle()) {
    command.ThrowFirst();
  } else {
    throw Error(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN, "the outcome of the transaction is unknown",
                session->connection().what() +
                    " did not answer to COMMIT: the transaction may be committed there or not.",
                "Look at the rows before you repeat the transaction.");
  }
}

core::Gid NewGid() {
  core::Gid gid;
  gid.cluster = CallPostgres([] { return ReadClusterRow().id; });
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
  CallPostgres([] { TEAMSCALE_WAIT_POINT("participants not prepared"); });
  Command command;
  command.Send(writers, [&gid](RemoteSession& session) {
    ++gid.number;
    // From here on it may be prepared there, whatever answer comes.
    session.MarkPrepared(core::FormatGid(gid));
    return "PREPARE TRANSACTION '" + session.prepared_gid() + "'";
  });
  command.Await("PREPARE TRANSACTION", [](RemoteSession*) {});
  command.ThrowFirst();
  CallPostgres([] { TEAMSCALE_WAIT_POINT("participants prepared"); });
  for (RemoteSession* session : writers) {
    const char* name = session->prepared_gid().c_str();
    core::NodeId node = session->node();
    CallPostgres([=] { InsertCommitRecord(name, node); });
  }
  // The record may have waited for this node to be taken out of the cluster: nobody would settle
  // it.
  const core::ShardMap* map = CallPostgres([] {
    AcceptInvalidationMessages();
    return CurrentShardMap();
  });
  if (!map || map->local_node() != gid.router)
    throw Error(ERRCODE_T_R_SERIALIZATION_FAILURE,
                "this database left the cluster while the transaction was committed", "",
                "Try again on another node.");
  CallPostgres([] { TEAMSCALE_WAIT_POINT("commit recorded"); });
  CallPostgres([] {
    // The decision must be durable before anybody acts on it, on the standbys too where there are
    // synchronous ones.
    ForceSyncCommit();
    bool has_standbys = SyncRepStandbyNames && *SyncRepStandbyNames;
    if (has_standbys && synchronous_commit < SYNCHRONOUS_COMMIT_REMOTE_FLUSH)
      set_config_option("synchronous_commit", "on", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL,
                        true, ERROR, false);
  });
}

// Whether a plain COMMIT there decides: nothing that happens here later can fail. The last check of
// a SERIALIZABLE transaction could.
bool DecidesAlone(const std::vector<RemoteSession*>& writers) {
  return writers.size() == 1 && !TransactionIdIsValid(GetTopTransactionIdIfAny()) &&
         XactIsoLevel != XACT_SERIALIZABLE;
}

void BeforeCommit() {
  std::vector<RemoteSession*> readers, writers;
  for (RemoteSession* session : Participants()) {
    if (!session->usable())
      throw Error(ERRCODE_CONNECTION_FAILURE,
                  "lost the connection to " + session->connection().what(),
                  "The transaction cannot be committed.", "Try it again.");
    (session->wrote() ? writers : readers).push_back(session);
  }
  if (!readers.empty()) CommitReaders(readers);
  if (writers.empty()) return;
  if (DecidesAlone(writers))
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

// --- After the decision --------------------------------------------------------------------------

void Warn(const RemoteSession& session) {
  const char* what = const_cast<RemoteSession&>(session).connection().what().c_str();
  CallPostgres([what] {
    ereport(WARNING,
            (errmsg("the transaction is committed, but %s has not confirmed it yet", what),
             errdetail("The maintenance worker settles it as soon as the node answers; until then "
                       "its rows stay locked there.")));
  });
}

// An error here would be a PANIC.
void AfterCommit() noexcept {
  try {
    std::vector<RemoteSession*> participants = Participants();
    std::vector<RemoteSession*> prepared, sent;
    for (RemoteSession* session : participants)
      if (!session->prepared_gid().empty()) prepared.push_back(session);
    if (!prepared.empty()) CallPostgres([] { TEAMSCALE_WAIT_POINT("commit decided"); });
    // The wait for a synchronous standby was cancelled: were the standby to take over now, the
    // decision would not be there. The worker sends it once the standby has it.
    bool durable = prepared.empty() || StandbysHave(XactLastCommitEnd);
    for (RemoteSession* session : prepared)
      if (durable &&
          session->connection().SendQuietly("COMMIT PREPARED '" + session->prepared_gid() + "'"))
        sent.push_back(session);
    if (!prepared.empty()) CallPostgres([] { TEAMSCALE_WAIT_POINT("commit sent"); });
    bool all_confirmed = true;
    for (RemoteSession* session : prepared) {
      std::string sqlstate;
      bool confirmed = std::find(sent.begin(), sent.end(), session) != sent.end() &&
                       // "Does not exist": the worker was faster.
                       (session->connection().FinishQuietly(&sqlstate) || sqlstate == "42704");
      if (confirmed) continue;
      all_confirmed = false;
      Warn(*session);
    }
    if (!all_confirmed) RequestSettling();
    for (RemoteSession* session : participants) session->LeaveTransaction();
  } catch (...) {
  }
  CloseSessions([](const RemoteSession& session) { return !session.usable(); });
}

void AfterAbort() noexcept {
  bool in_doubt = false;
  for (auto& [key, session] : Sessions()) {
    if (!session->in_transaction() && session->usable() && session->connection().idle()) continue;
    bool maybe_prepared = !session->prepared_gid().empty();
    session->Abort();
    in_doubt = in_doubt || (maybe_prepared && !session->usable());
  }
  if (in_doubt) RequestSettling();
  CloseSessions([](const RemoteSession& session) { return !session.usable(); });
}

// Whether a SERIALIZABLE transaction uses this node's buckets.
bool this_node_used = false;

void OnTransactionEvent(XactEvent event, void*) {
  if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE) {
    this_node_used = false;
    ForgetConstraintModes();
  }
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
  int level = GetCurrentTransactionNestLevel();
  if (event == SUBXACT_EVENT_COMMIT_SUB) CommitConstraintModes(level);
  if (event == SUBXACT_EVENT_ABORT_SUB) AbortConstraintModes(level);
  for (auto& [key, session] : Sessions()) {
    if (event == SUBXACT_EVENT_COMMIT_SUB) session->CommitSubtransaction(level);
    if (event == SUBXACT_EVENT_ABORT_SUB) session->AbortSubtransaction(level);
  }
}

// A statement that still runs there would go on for nobody.
void OnExit(int, Datum) {
  for (auto& [key, session] : Sessions())
    if (session->connection().busy()) session->connection().CancelAndDrain();
  Sessions().clear();
}

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
[[noreturn]] void RefuseSerializable(const std::string& one, const std::string& other) {
  throw Error(ERRCODE_FEATURE_NOT_SUPPORTED,
              "a SERIALIZABLE transaction cannot use more than one node",
              "It would use " + one + " besides " + other + ".",
              "Use REPEATABLE READ, and see what it means over several nodes.");
}

void CheckIsolation(const core::Node& node) {
  if (XactIsoLevel != XACT_SERIALIZABLE) return;
  std::string name = "node \"" + node.name + "\"";
  if (this_node_used) RefuseSerializable(name, "this node");
  for (RemoteSession* session : Participants())
    if (session->node() != node.id) RefuseSerializable(name, session->connection().what());
}

// For a statement to be sent, or throws.
void MakeReady(RemoteSession& session) {
  const std::string& what = session.connection().what();
  if (!session.usable())
    throw Error(ERRCODE_CONNECTION_FAILURE, "lost the connection to " + what,
                "What this transaction did there is lost.", "Roll back and try again.");
  session.MakeWay();
  // Another statement's rows are just being read.
  if (session.connection().busy())
    throw Error(ERRCODE_FEATURE_NOT_SUPPORTED, "the connection to " + what + " is in use",
                "A statement within another statement needs the same node.",
                "Let the outer statement end first.");
}

}  // namespace

void InitRemoteTransaction() {
  RegisterXactCallback(OnTransactionEvent, nullptr);
  RegisterSubXactCallback(OnSubtransactionEvent, nullptr);
}

const core::Node& RequireReachableNode(core::NodeId id) {
  if (InNodeSession())
    throw Error(
        ERRCODE_FEATURE_NOT_SUPPORTED,
        "a statement that another node sent cannot reach further nodes",
        "A trigger, a default, a policy or a function of it asks for rows that this node does "
        "not hold.",
        "Let it touch only rows with the same sharding key.");
  if (IsInParallelMode())
    throw Error(ERRCODE_INVALID_TRANSACTION_STATE,
                "cannot reach other nodes during a parallel operation", "",
                "Mark the functions that do so PARALLEL UNSAFE.");
  CallPostgres([] { RequireServingNode(); });
  const core::ShardMap* map = CallPostgres([] { return CurrentShardMap(); });
  const core::Node* node = map ? map->FindNode(id) : nullptr;
  if (!node)
    throw Error(ERRCODE_UNDEFINED_OBJECT, "node " + std::to_string(id) + " does not exist");
  if (node->state != core::NodeState::kActive)
    throw Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "node \"" + node->name + "\" is disabled",
                "", "Bring it back with teamscale.enable_node().");
  return *node;
}

std::unique_ptr<RemoteSession> OpenSession(const core::Node& node, Oid user) {
  const char* role = CallPostgres([user] { return GetUserNameFromId(user, false); });
  bool superuser = CallPostgres([user] { return superuser_arg(user); });
  return std::make_unique<RemoteSession>(node, role, superuser);
}

RemoteSession& UseSession(core::NodeId id, Effect effect) {
  const core::Node& node = RequireReachableNode(id);
  Oid user = GetUserId();
  CheckOtherUsers(node, user, effect);
  CheckIsolation(node);

  static bool exit_registered = false;
  if (!exit_registered) {
    CallPostgres([] { before_shmem_exit(OnExit, Datum{0}); });
    exit_registered = true;
  }
  auto found = Sessions().find({id, user});
  if (found != Sessions().end() && !found->second->in_transaction() &&
      (!found->second->usable() || found->second->conninfo() != node.conninfo ||
       !found->second->connection().StillOpen())) {
    Sessions().erase(found);
    found = Sessions().end();
  }
  if (found == Sessions().end())
    found = Sessions().emplace(SessionKey{id, user}, OpenSession(node, user)).first;
  RemoteSession& session = *found->second;
  if (session.conninfo() != node.conninfo)
    throw Error(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                "node \"" + node.name + "\" is another database now",
                "This transaction has used the one before.", "Roll back and try again.");
  MakeReady(session);
  return session;
}

void SetConstraintMode(std::string command, bool immediate) {
  NoteConstraintMode(std::move(command));
  if (!immediate) return;
  for (RemoteSession* session : Participants()) {
    if (!session->wrote()) continue;
    MakeReady(*session);
    session->Join(Effect::kReads);
  }
}

void UseThisNode() {
  if (XactIsoLevel != XACT_SERIALIZABLE) return;
  for (RemoteSession* session : Participants())
    RefuseSerializable("this node", session->connection().what());
  this_node_used = true;
}

void CloseIdleSessions() {
  CloseSessions([](const RemoteSession& session) { return !session.in_transaction(); });
}

}  // namespace teamscale

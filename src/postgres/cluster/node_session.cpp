#include "teamscale/postgres/cluster/node_session.h"

#include <cstring>
#include <utility>

#include "teamscale/postgres/boundary/sql_function.h"
#include "teamscale/postgres/cluster/map.h"
#include "teamscale/postgres/cluster/node_secret.h"

extern "C" {
#include "access/xact.h"
#include "miscadmin.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/plancache.h"
}

namespace teamscale {

namespace {

constexpr std::size_t kChallengeLength = 32;

const config_enum_entry kScopes[] = {
    {"cluster", static_cast<int>(Scope::kCluster), false},
    {"local", static_cast<int>(Scope::kLocal), false},
    {nullptr, 0, false},
};

int scope_setting = static_cast<int>(Scope::kCluster);
int nesting = 0;
// The nesting at which statements are this node's share of one that went to several nodes.
constexpr LocalStatement kNoLocalStatement = {-1, false};
LocalStatement local_statement = kNoLocalStatement;

struct NodeSession {
  bool challenge_open;
  char challenge[kChallengeLength];
  bool proved;
  int32 router;
  int64 router_epoch;            // when it opened the session
  std::uint64_t router_seen_in;  // the map by which the router was found to be active
};
NodeSession session;

// Deferred triggers are fired by COMMIT, when nothing is executed that they were nested in.
bool InTrigger() { return DatumGetInt32(pg_trigger_depth(nullptr)) > 0; }

// teamscale.scope = local is for what the client itself asks. What runs within it on behalf of
// others (triggers, checks, functions that run as their owner) decides by all rows, or a user could
// hide rows from it. A superuser restores a dump under it, triggers and checks included.
bool SettingApplies() {
  return (nesting == 0 && !InTrigger() && !InLocalUserIdChange()) || InSuperuserSession();
}

[[noreturn]] void RefuseRouter(const core::Node* router) {
  ereport(
      ERROR,
      (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
       router ? errmsg("node \"%s\", which sends this statement, is disabled", router->name.c_str())
              : errmsg("the node that sends this statement is not in the cluster any more"),
       errdetail("The cluster has left it out, and it does not know yet."),
       errhint("Ask another node, or call teamscale.enable_node() for it on an active node.")));
  pg_unreachable();
}

// A router that knows more may be making this database a node again.
void CheckRouter() {
  const core::ShardMap* map = CurrentShardMap();
  if (!map || map->epoch() <= session.router_epoch) return;
  const core::Node* router = map->FindNode(session.router);
  if (!router || router->state != core::NodeState::kActive) RefuseRouter(router);
}

// A plan made in one scope is wrong in the other.
void OnScopeAssigned(int new_value, void*) {
  if (new_value != scope_setting) ResetPlanCache();
}

void OnTransactionEnd(XactEvent event, void*) {
  if (event != XACT_EVENT_ABORT) return;
  nesting = 0;
  local_statement = kNoLocalStatement;
}

}  // namespace

void InitNodeSession() {
  DefineCustomEnumVariable(
      "teamscale.scope", "What statements on sharded tables see: the cluster or this node only.",
      "\"local\" shows the rows of one node on purpose; only superusers may write under it.",
      &scope_setting, static_cast<int>(Scope::kCluster), kScopes, PGC_USERSET, 0, nullptr,
      OnScopeAssigned, nullptr);
  RegisterXactCallback(OnTransactionEnd, nullptr);
}

Scope CurrentScope() {
  if (InLocalStatement() || InRouterStatement()) return Scope::kLocal;
  return IsScopeSetLocal() && SettingApplies() ? Scope::kLocal : Scope::kCluster;
}

bool IsScopeSetLocal() { return scope_setting == static_cast<int>(Scope::kLocal); }

bool InSuperuserSession() { return superuser_arg(GetAuthenticatedUserId()); }

bool InRouterStatement() { return session.proved && nesting == 0 && !InTrigger(); }

void RequireRouterStatement(const char* statement) {
  if (session.proved && nesting == 1 && debug_query_string &&
      strcmp(debug_query_string, statement) == 0)
    return;
  ereport(ERROR,
          (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
           errmsg("only teamscale itself calls this function on another node"),
           errdetail("The statement is not \"%s\" on a connection that has proved to be a node's.",
                     statement)));
}

LocalStatement EnterLocalStatement(bool definitions) {
  return std::exchange(local_statement, LocalStatement{nesting, definitions});
}

void LeaveLocalStatement(LocalStatement previous) { local_statement = previous; }

bool InLocalStatement() { return local_statement.level == nesting; }

bool LocalStatementMayChangeDefinitions() {
  return InLocalStatement() && local_statement.definitions;
}

bool InNodeSession() { return session.proved; }

void RequireActiveRouter() {
  if (!session.proved || (CurrentShardMap() && session.router_seen_in == ShardMapVersion())) return;
  CheckRouter();
  session.router_seen_in = ShardMapVersion();
}

int EnterNestedExecution() { return nesting++; }

int ExecutionNesting() { return nesting; }

void LeaveNestedExecution(int level) { nesting = level; }

bytea* AnswerNodeChallenge(const bytea* challenge) {
  auto* answer = static_cast<bytea*>(palloc(VARHDRSZ + kAuthenticationCodeLength));
  SET_VARSIZE(answer, VARHDRSZ + kAuthenticationCodeLength);
  if (!AuthenticateWithSecret(VARDATA_ANY(challenge), VARSIZE_ANY_EXHDR(challenge),
                              reinterpret_cast<unsigned char*>(VARDATA(answer))))
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("this database does not have the cluster's secret"),
                    errdetail("A database restored from a dump is a copy of a node, not the node."),
                    errhint("Call teamscale.enable_node() for it on an active node.")));
  return answer;
}

}  // namespace teamscale

TEAMSCALE_SQL_FUNCTION(teamscale_node_challenge) {
  using namespace teamscale;
  if (!pg_strong_random(session.challenge, kChallengeLength))
    ereport(ERROR, (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not draw a challenge")));
  session.challenge_open = true;
  auto* challenge = static_cast<bytea*>(palloc(VARHDRSZ + kChallengeLength));
  SET_VARSIZE(challenge, VARHDRSZ + kChallengeLength);
  std::memcpy(VARDATA(challenge), session.challenge, kChallengeLength);
  PG_RETURN_BYTEA_P(challenge);
}

TEAMSCALE_SQL_FUNCTION(teamscale_open_node_session) {
  using namespace teamscale;
  const bytea* answer = PG_GETARG_BYTEA_PP(0);
  unsigned char expected[kAuthenticationCodeLength];
  // A challenge is good for one answer.
  bool open = session.challenge_open;
  session.challenge_open = false;
  if (!open || !AuthenticateWithSecret(session.challenge, kChallengeLength, expected) ||
      VARSIZE_ANY_EXHDR(answer) != kAuthenticationCodeLength ||
      timingsafe_bcmp(VARDATA_ANY(answer), expected, kAuthenticationCodeLength) != 0)
    ereport(ERROR, (errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
                    errmsg("this connection did not prove to be a node's"),
                    errdetail("The answer to the challenge is wrong: the databases do not share a "
                              "cluster's secret."),
                    errhint("A copy of a node becomes one only by teamscale.enable_node().")));
  session.router = PG_GETARG_INT32(1);
  session.router_epoch = PG_GETARG_INT64(2);
  CheckRouter();
  session.proved = true;
  PG_RETURN_VOID();
}

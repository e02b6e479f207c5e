// Whose statements a session runs: a client's, which are the cluster's, or a router's, which are
// for this node's own buckets.
#pragma once

#include "teamscale/postgres/boundary/server.h"

namespace teamscale {

enum class Scope {
  kCluster,  // statements on sharded tables are routed
  kLocal,    // statements see this node's buckets only
};

// Defines teamscale.scope. Called once by _PG_init.
void InitNodeSession();

// The scope of a statement that is planned or executed now. Local when teamscale.scope = local and
// the statement is the client's own, or the session a superuser's; or when this is a node's session
// and the statement is the one that the router sent, not one that a trigger or function runs within
// it.
Scope CurrentScope();

// Whether teamscale.scope = local is set: it does not apply to every statement.
bool IsScopeSetLocal();

// Whether a superuser has logged in, whatever role the session has taken since. Reads the catalog.
bool InSuperuserSession();

// Whether this connection has proved to be a node's. Such a session opens no connections itself.
bool InNodeSession();

// Raises 55000 when the cluster has left out the node whose session this is: what it sends may be
// for a map of before. Cheap. Plain dialect.
void RequireActiveRouter();

// Brackets code that PostgreSQL runs within a statement: the executor and utility hooks call Enter
// before they hand on and Leave in PG_FINALLY, with what Enter gave.
int EnterNestedExecution();
void LeaveNestedExecution(int level);

// How many such brackets are open: 1 while the client's own statement is executed.
int ExecutionNesting();

// For functions that only a router calls, by one fixed statement: raises 42501 unless that
// statement is the one that this session was sent. What users send through a node, by a routed
// statement or by run_on_node(), reaches node sessions too. Plain dialect.
void RequireRouterStatement(const char* statement);

// Whether the statement at hand is the one that a router sent, not one that runs nested within it.
bool InRouterStatement();

// Brackets this node's own share of a statement that goes to several nodes by their functions, not
// by its text: until Leave, the statement is local in scope, and what triggers and functions run
// nested within it is not. definitions: it may change sharded tables, for all nodes do. Leave takes
// what Enter gave, in PG_FINALLY.
struct LocalStatement {
  int level;
  bool definitions;
};
LocalStatement EnterLocalStatement(bool definitions);
void LeaveLocalStatement(LocalStatement previous);
bool InLocalStatement();
bool LocalStatementMayChangeDefinitions();

// The answer to another node's challenge (HMAC-SHA-256 under the cluster's secret). Plain dialect;
// raises when this database does not have the secret.
bytea* AnswerNodeChallenge(const bytea* challenge);

}  // namespace teamscale

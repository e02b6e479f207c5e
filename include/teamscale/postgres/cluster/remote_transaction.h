// The sessions of this backend on other nodes, and their part in the current transaction. Guarded
// dialect but for InitRemoteTransaction.
#pragma once

#include <memory>
#include <string>

#include "teamscale/core/sharding/shard_map.h"
#include "teamscale/postgres/cluster/remote_session.h"

namespace teamscale {

// Registers the transaction callbacks. Called once by _PG_init.
void InitRemoteTransaction();

// The node, when this session may reach it now. Throws 0A000 within a statement that another node
// sent, and 55000 when the node is disabled.
const core::Node& RequireReachableNode(core::NodeId id);

// A new session that takes no part in the current transaction.
std::unique_ptr<RemoteSession> OpenSession(const core::Node& node, Oid user);

// The current user's session on a node, opened if need be, which then is part of the current
// transaction. Throws 0A000 where the rules of one connection per node, user and transaction are
// broken, or when this is a node's session itself.
RemoteSession& UseSession(core::NodeId node, Effect effect);

// Notes that the current transaction uses this node's own buckets. Throws 0A000 when it is
// SERIALIZABLE and uses another node too, as UseSession does.
void UseThisNode();

// SET CONSTRAINTS, which this node has run: the transaction's sessions follow, those that have
// written at once when it is IMMEDIATE, for it fires what was deferred there.
void SetConstraintMode(std::string command, bool immediate);

// Closes the sessions that take no part in the current transaction (DISCARD ALL).
void CloseIdleSessions();

}  // namespace teamscale

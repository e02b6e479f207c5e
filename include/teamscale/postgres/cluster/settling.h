// Settling: carrying out, on the other nodes, the decisions of this router's transactions that were
// left prepared there. One round is three steps, in this order; two rounds at once are safe.
//
//   ReadDecisions    the commit records and a snapshot, both of one instant S
//   Settle           lists this router's prepared transactions on every node, after S, and commits,
//                    rolls back or leaves each
//   ForgetRecords    deletes the records of S whose node answered without the transaction: only
//                    that shows that the commit arrived
//
// Guarded dialect. The first and the last need a transaction, the second must not hold one up: a
// node may be slow.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "teamscale/core/cluster/settlement.h"
#include "teamscale/core/sharding/shard_map.h"
#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "access/xlogdefs.h"
}

namespace teamscale {

struct CommitRecord {
  std::string gid;
  core::NodeId node;
};

struct Decisions {
  core::Snapshot snapshot;
  std::vector<CommitRecord> records;
  // A position in the log behind all of these records.
  XLogRecPtr position;
  std::uint64_t boot;
  std::string cluster;
  std::string role;  // who settles
  core::NodeId router;
  std::vector<core::Node> nodes;
};

// Nothing when this database must not settle: it is no node, or a copy of one.
std::optional<Decisions> ReadDecisions();

// What a round did with one transaction, or why it could not look at a node (gid empty).
struct SettlingStep {
  std::string gid;
  std::string node;
  std::string action;
};

struct SettlingResult {
  std::vector<SettlingStep> steps;
  std::vector<std::string> arrived;  // gids of records that are no longer needed
};

// A node that does not answer is a step of its own; an interrupt is thrown.
SettlingResult Settle(const Decisions& decisions);

void ForgetRecords(const std::vector<std::string>& gids);

// Whether the synchronous standbys, where there are any, have what the log says up to the position.
// Never raises; callable while a transaction ends.
bool StandbysHave(XLogRecPtr position);

}  // namespace teamscale

// Settling: carrying out, in other databases, the decisions of this router's transactions that were
// left prepared there. One round is these steps, in this order; two rounds at once are safe.
//
//   visit            this node itself, to see that this database is the node and no copy of it;
//   then
//                    every database in which it may have left something
//   ReadDecisions    the commit records and a snapshot, both of one instant S
//   list and finish  this router's prepared transactions on each, after S: commits, rolls back or
//                    leaves them
//   forget           the records of S whose node answered without the transaction: only that shows
//                    that the commit arrived
//
// Guarded dialect. The parts that read or write the catalog are transactions of their own when none
// is open; a node may be slow, so none should be.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "access/xlogdefs.h"
}

namespace teamscale {

// What a round did with one transaction, or why it could not look at a node (gid empty).
struct SettlingStep {
  std::string gid;
  std::string node;
  std::string action;
};

// One round. Nothing when this database must not settle: it is no node, a copy of one, or left out.
// A node that does not answer is a step of its own; an interrupt is thrown.
std::optional<std::vector<SettlingStep>> SettleOnce();

// Whether the synchronous standbys, where there are any, have what the log says up to the position.
// Never raises; callable while a transaction ends.
bool StandbysHave(XLogRecPtr position);

}  // namespace teamscale

// What becomes of a transaction that is found prepared on another node: the decision of its router,
// read from one snapshot of the router's database.
//
// A transaction without a commit record may still be on its way to its decision. It has *ended*
// when it is of an earlier start of the server, or when the snapshot sees its transaction id: then,
// and only then, the missing record means that it was rolled back.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "teamscale/core/cluster/gid.h"

namespace teamscale::core {

// A snapshot as pg_current_snapshot() prints it: xmin:xmax:xip,xip,...
class Snapshot {
 public:
  // Nothing when the text is not a snapshot's.
  static std::optional<Snapshot> Parse(std::string_view text);

  // Whether the transaction was committed or rolled back when the snapshot was taken; what
  // pg_visible_in_snapshot() says.
  bool HasEnded(std::uint64_t transaction) const;

 private:
  Snapshot() = default;

  std::uint64_t xmin_ = 0;
  std::uint64_t xmax_ = 0;
  std::vector<std::uint64_t> in_progress_;  // ascending
};

enum class Settlement {
  kLeave,     // the router's transaction is running
  kCommit,    // its commit record is there
  kRollBack,  // it has ended without one
};

// current_boot is the router's; recorded says whether the snapshot sees a commit record of the gid.
Settlement Settle(const Gid& gid, bool recorded, std::uint64_t current_boot,
                  const Snapshot& snapshot);

}  // namespace teamscale::core

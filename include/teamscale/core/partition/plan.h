// What maintenance would do to a table, and why: a list of actions in the order in which they are
// to be done, each a short transaction of its own.
//
//   what was interrupted is finished, then partitions are made ahead (the nearest first), then gaps
//   are filled, then the default partition is drained, then leaves are moved, then old ones expire;
//   what is divided comes last, as it then is
//
// so that a failure late in the list never keeps rows from their partitions. A plan is a function
// of policy, state and clock. Carried out and made anew it has nothing more to do, but for rewrites
// that had to wait for one that is under way; partitions that are not of the policy's making,
// whatever their names and bounds, are kept, and what they leave open is filled.
//
// The *clock guard*: a clock before that of the last run, or far after it, is not believed. What
// cannot be undone (expiry, moves, the replacing of premade partitions) is then planned as of the
// last run, until the owner accepts the clock.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "teamscale/core/partition/bound.h"
#include "teamscale/core/partition/partition_state.h"
#include "teamscale/core/partition/policy.h"

namespace teamscale::core {

enum class ActionKind {
  kGuard,          // nothing: the clock is not believed
  kNotice,         // nothing: what the owner should know
  kBlocked,        // nothing: what is due but must not be done
  kFinishDetach,   // DETACH ... FINALIZE of object
  kResumeRewrite,  // go on with rewrite
  kCreate,         // make and attach what is in created
  kReplace,        // in one transaction: drop what is in replaced, which is empty, make created
  kDrain,          // make created, with the rows of the default partition that belong there
  kSplit,          // divide object's rows among created, which take its place
  kMoveInPlace,    // SET TABLESPACE of object
  kMoveByRewrite,  // the same by copy, mirror and swap
  kDetach,         // detach object, CONCURRENTLY if concurrently says so
  kDrop,           // drop object, which is detached
  kMoveToSchema,   // SET SCHEMA of object, which is detached
};

// "create", "drain": the name by which SQL shows a kind.
const char* ActionName(ActionKind kind);

struct TableRef {
  PartitionId id = 0;
  TableName name = {};

  bool operator==(const TableRef&) const = default;
};

// A partition to be made: beside its parent, with those below it, and then attached.
struct NewPartition {
  TableName name = {};
  Bound bound = {};
  std::string tablespace = {};  // the parent's when empty
  // When it is partitioned itself: how, and by which partitions at first. What a partitioned table
  // is split into has partitions like those that the table has by then, and parts is empty.
  std::shared_ptr<const PartitionPolicy> below = {};
  std::vector<NewPartition> parts = {};
};

struct Action {
  ActionKind kind = ActionKind::kNotice;
  TableRef parent = {};  // the table under which it happens
  TableRef object = {};  // a table that is there; or the first of created, without an id
  Bound bound = {};      // of the object
  std::vector<NewPartition> created = {};
  std::vector<TableRef> replaced = {};
  std::int64_t rewrite = 0;
  bool concurrently = false;
  bool is_foreign = false;
  std::string tablespace = {};  // where moves go
  std::string schema = {};
  std::string reason = {};  // a sentence
  std::string lock = {};    // the strongest locks and on what; empty when nothing is done
  std::int64_t rows = 0;    // estimates of what is touched
  std::int64_t bytes = 0;

  bool DoesSomething() const { return kind > ActionKind::kBlocked; }
};

// What the next plan needs to know of a number key's table: newest_at_last_run.
struct NewestKey {
  PartitionId table = 0;
  Point newest = 0;
};

struct Plan {
  std::vector<Action> actions = {};
  // What to keep as the last run's clock once the plan was carried out. A clock that was not
  // believed is not here.
  Point clock = 0;
  std::vector<NewestKey> newest = {};
  // How many ranges after the one of now were there without a gap before the plan; of tables below,
  // the fewest. -1 when now's own is missing, nothing when no table has ranges.
  std::optional<std::int64_t> ranges_ahead = {};
};

// now is the clock's instant. The policy is one that CheckPolicy() lets pass.
Plan PlanMaintenance(const PartitionPolicy& policy, const PartitionState& state, Point now);

}  // namespace teamscale::core

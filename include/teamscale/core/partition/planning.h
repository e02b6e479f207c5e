// A plan in the making: what the plans of ranges, lists and hashes have in common. Each walks over
// one table and adds actions; tables below are planned in the same way, and all actions are put in
// order at the end.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

#include "teamscale/core/partition/plan.h"

namespace teamscale::core {

// The order of work; within a stage by distance, then as added.
enum class Stage { kGuard, kFinish, kPremake, kFill, kDrain, kMove, kExpire, kSplit };

// A table that is being planned, and what it is within the table above it.
struct Level {
  const PartitionPolicy* policy = nullptr;
  const PartitionedTable* table = nullptr;
  // Where the leaf above wants its rows stored; empty when it has no opinion.
  std::string tablespace = {};
  // The range of the leaf above when it is of the same column: no key beyond it comes here.
  std::optional<Range> within = {};

  TableRef Ref() const { return {table->id, table->name}; }
};

class Planning {
 public:
  Planning(const PartitionState& state, std::optional<Point> last_run, Point now)
      : state_(state), last_run_(last_run), now_(now) {}

  const PartitionState& state() const { return state_; }
  const std::optional<Point>& last_run() const { return last_run_; }
  Point now() const { return now_; }

  void Add(Stage stage, Action action, std::uint64_t distance = 0);
  // Says that a table's clock is not believed; the server's, which all tables share, once.
  void Guard(const TableRef& table, const std::string& reason);
  void DistrustClock(const std::string& reason);
  void RecordNewest(const PartitionedTable& table, Point newest);
  void RecordRangesAhead(std::int64_t ranges);

  // Plans a table and those below it.
  void PlanTable(const Level& level);
  // Finishes an interrupted detach.
  void FinishDetach(const Level& level, const Leaf& leaf);
  // Plans the table below a leaf, or, when it has none of its own policy, what its leaves share
  // with it. within is the leaf's range.
  void PlanBelow(const Level& level, const Leaf& leaf, const std::string& tablespace,
                 const std::optional<Range>& within);
  // Moves a leaf that is stored elsewhere.
  void PlanTablespace(const Level& level, const Leaf& leaf, const std::string& tablespace);
  // Makes the default partition when the policy wants one and there is none.
  void PlanDefault(const Level& level);
  // Detaches a leaf, and does with it what is to be done then.
  void PlanExpiry(const Level& level, const Leaf& leaf, const Retention& retention,
                  const std::string& reason);
  // The second half of that.
  void PlanDisposal(Stage stage, const DetachedTable& table);

  // A partition that is named here and now, with those below it. within is its range. Names in
  // freed_names may be given again.
  NewPartition Make(const Level& level, const Bound& bound, const NameParts& parts,
                    const std::string& tablespace, const std::optional<Range>& within,
                    const std::set<std::string>& freed_names = {});
  // An action that makes partitions under a table.
  Action Creating(ActionKind kind, const Level& level, std::vector<NewPartition> created,
                  std::string reason) const;

  // Unfinished rewrites. A table has one at a time: others are planned when it is over.
  bool IsBeingRewritten(PartitionId id) const { return sources_.count(id) > 0; }
  std::vector<Bound> TargetsUnder(PartitionId parent) const;

  Plan Finish();

  // All of a plan.
  static Plan Run(const PartitionPolicy& policy, const PartitionState& state, Point now);

 private:
  bool MustWait(const Action& action) const;

  struct Ranked {
    Stage stage;
    std::uint64_t distance;
    Action action;
  };

  std::string NameOf(std::string_view name_template, const TableName& table, const NameParts& parts,
                     const std::set<std::string>& freed_names);
  std::vector<NewPartition> PartsOf(const PartitionPolicy& policy, const TableName& table,
                                    const std::string& tablespace,
                                    const std::optional<Range>& within);

  const PartitionState& state_;
  std::optional<Point> last_run_;
  Point now_;
  std::vector<Ranked> actions_;
  std::unordered_set<std::string> names_;  // given by this plan
  std::unordered_set<PartitionId> sources_;
  bool clock_is_trusted_ = true;
  std::vector<NewestKey> newest_;
  std::optional<std::int64_t> ranges_ahead_;
};

// The plans of the kinds.
void PlanRanges(Planning& planning, const Level& level);
void PlanList(Planning& planning, const Level& level);
void PlanHash(Planning& planning, const Level& level);

// The tablespace of leaves of any age that a policy names; empty when it has no such rule.
std::string TablespaceOfAnyAge(const PartitionPolicy& policy);
// Whether there is a default partition now, and once the plan was carried out.
bool HasDefault(const PartitionedTable& table);
// "120 rows", "1 row".
std::string RowsText(std::int64_t rows);

}  // namespace teamscale::core

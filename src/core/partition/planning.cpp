#include "teamscale/core/partition/planning.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "teamscale/core/partition/civil_time.h"

namespace teamscale::core {

namespace {

std::string Lock(const char* mode, const TableName& table) {
  return std::string(mode) + " on " + QuoteName(table);
}

// What DETACH locks beside the parent, whose lock is the weaker one when it is CONCURRENTLY.
std::string DetachLock(const Level& level, const Leaf& leaf, bool concurrently) {
  if (concurrently)
    return Lock("SHARE UPDATE EXCLUSIVE", level.table->name) + ", " +
           Lock("ACCESS EXCLUSIVE", leaf.name);
  std::string lock =
      Lock("ACCESS EXCLUSIVE", level.table->name) + ", " + Lock("ACCESS EXCLUSIVE", leaf.name);
  for (const Leaf& other : level.table->leaves)
    if (std::holds_alternative<DefaultBound>(other.bound))
      lock += ", " + Lock("ACCESS EXCLUSIVE", other.name);
  return lock;
}

// What ATTACH locks: no reader or writer of the parent waits, but those of the default partition.
std::string AttachLock(const Level& level) {
  std::string lock = Lock("SHARE UPDATE EXCLUSIVE", level.table->name);
  for (const Leaf& leaf : level.table->leaves)
    if (std::holds_alternative<DefaultBound>(leaf.bound))
      lock += ", " + Lock("ACCESS EXCLUSIVE", leaf.name);
  return lock;
}

// What the swap at the end of a rewrite locks.
std::string SwapLock(const Level& level) {
  return Lock("ACCESS EXCLUSIVE", level.table->name) + " (at the end)";
}

std::string LockOf(ActionKind kind, const Level& level) {
  switch (kind) {
    case ActionKind::kCreate:
      return AttachLock(level);
    case ActionKind::kReplace:
      return Lock("ACCESS EXCLUSIVE", level.table->name);
    default:
      return SwapLock(level);
  }
}

// Why a leaf must not be taken away; empty when it may.
std::string Obstacle(bool is_referenced, bool is_published) {
  if (is_referenced) return "a foreign key references this very table";
  if (is_published) return "a publication names it";
  return "";
}

}  // namespace

std::string TablespaceOfAnyAge(const PartitionPolicy& policy) {
  for (const TablespaceRule& rule : policy.tablespaces)
    if (IsZero(rule.age)) return rule.tablespace;
  return "";
}

bool HasDefault(const PartitionedTable& table) {
  return std::any_of(table.leaves.begin(), table.leaves.end(), [](const Leaf& leaf) {
    return std::holds_alternative<DefaultBound>(leaf.bound);
  });
}

std::string RowsText(std::int64_t rows) {
  return std::to_string(rows) + (rows == 1 ? " row" : " rows");
}

void Planning::Add(Stage stage, Action action, std::uint64_t distance) {
  if (!MustWait(action)) actions_.push_back({stage, distance, std::move(action)});
}

void Planning::DistrustClock(const std::string& reason) {
  if (!clock_is_trusted_) return;
  clock_is_trusted_ = false;
  Guard({state_.table.id, state_.table.name}, reason);
}

void Planning::Guard(const TableRef& table, const std::string& reason) {
  Add(Stage::kGuard,
      {.kind = ActionKind::kGuard, .parent = table, .object = table, .reason = reason});
}

void Planning::RecordNewest(const PartitionedTable& table, Point newest) {
  newest_.push_back({table.id, newest});
}

void Planning::RecordRangesAhead(std::int64_t ranges) {
  ranges_ahead_ = std::min(ranges, ranges_ahead_.value_or(ranges));
}

void Planning::PlanTable(const Level& level) {
  switch (level.policy->kind()) {
    case PolicyKind::kRange:
      PlanRanges(*this, level);
      break;
    case PolicyKind::kList:
      PlanList(*this, level);
      break;
    case PolicyKind::kHash:
      PlanHash(*this, level);
      break;
  }
}

void Planning::FinishDetach(const Level& level, const Leaf& leaf) {
  Add(Stage::kFinish, {.kind = ActionKind::kFinishDetach,
                       .parent = level.Ref(),
                       .object = {leaf.id, leaf.name},
                       .bound = leaf.bound,
                       .reason = "Its detach was interrupted.",
                       .lock = DetachLock(level, leaf, true),
                       .rows = leaf.rows,
                       .bytes = leaf.bytes});
}

void Planning::PlanBelow(const Level& level, const Leaf& leaf, const std::string& tablespace,
                         const std::optional<Range>& within) {
  Level below{.policy = level.policy->below.get(), .table = &*leaf.parts, .tablespace = tablespace};
  if (below.policy != nullptr) {
    if (below.policy->key.column == level.policy->key.column) below.within = within;
    PlanTable(below);
    return;
  }
  below.policy = level.policy;
  for (const Leaf& part : leaf.parts->leaves) PlanTablespace(below, part, tablespace);
}

void Planning::PlanTablespace(const Level& level, const Leaf& leaf, const std::string& tablespace) {
  if (tablespace.empty() || leaf.tablespace == tablespace || leaf.is_foreign ||
      leaf.detach_pending || IsBeingRewritten(leaf.id))
    return;
  bool in_place = leaf.bytes <= level.policy->move_in_place_bytes;
  Action action{
      .kind = in_place ? ActionKind::kMoveInPlace : ActionKind::kMoveByRewrite,
      .parent = level.Ref(),
      .object = {leaf.id, leaf.name},
      .bound = leaf.bound,
      .tablespace = tablespace,
      .reason = "At its age it belongs in tablespace " + QuoteIdentifier(tablespace) + ".",
      .lock = in_place ? Lock("ACCESS EXCLUSIVE", leaf.name) : SwapLock(level),
      .rows = leaf.rows,
      .bytes = leaf.bytes};
  std::string obstacle = Obstacle(leaf.is_referenced, leaf.is_published);
  if (!in_place && !obstacle.empty()) {
    action.kind = ActionKind::kBlocked;
    action.reason += " It stays where it is: " + obstacle + ".";
    action.lock.clear();
  }
  Add(Stage::kMove, std::move(action));
}

void Planning::PlanDefault(const Level& level) {
  if (!level.policy->default_partition || level.policy->kind() == PolicyKind::kHash ||
      HasDefault(*level.table))
    return;
  std::string tablespace = TablespaceOfAnyAge(*level.policy);
  if (tablespace.empty()) tablespace = level.tablespace;
  NewPartition created{.name = {state_.table.name.schema,
                                NameOf(kDefaultPartitionNameTemplate, level.table->name, {}, {})},
                       .bound = DefaultBound{},
                       .tablespace = tablespace};
  // Once it is there, attaching others needs its lock: so it comes after them.
  Add(Stage::kFill,
      Creating(ActionKind::kCreate, level, {std::move(created)},
               "There is no default partition, and the policy wants one."),
      std::numeric_limits<std::uint64_t>::max());
}

void Planning::PlanExpiry(const Level& level, const Leaf& leaf, const Retention& retention,
                          const std::string& reason) {
  DetachedTable then{.id = leaf.id,
                     .name = leaf.name,
                     .on_expiry = retention.on_expiry,
                     .schema = retention.schema,
                     .is_foreign = leaf.is_foreign,
                     .is_referenced = leaf.is_referenced,
                     .rows = leaf.rows,
                     .bytes = leaf.bytes};
  if (leaf.detach_pending) {
    PlanDisposal(Stage::kExpire, then);
    return;
  }
  // PostgreSQL has no concurrent form beside a default partition.
  bool concurrently = !HasDefault(*level.table) && !level.policy->default_partition;
  Action action{.kind = ActionKind::kDetach,
                .parent = level.Ref(),
                .object = {leaf.id, leaf.name},
                .bound = leaf.bound,
                .concurrently = concurrently,
                .is_foreign = leaf.is_foreign,
                .reason = reason,
                .lock = DetachLock(level, leaf, concurrently),
                .rows = leaf.rows,
                .bytes = leaf.bytes};
  std::string obstacle = Obstacle(leaf.is_referenced, leaf.is_published);
  if (!obstacle.empty()) {
    action.kind = ActionKind::kBlocked;
    action.reason += " It stays: " + obstacle + ".";
    action.lock.clear();
    Add(Stage::kExpire, std::move(action));
    return;
  }
  Add(Stage::kExpire, std::move(action));
  PlanDisposal(Stage::kExpire, then);
}

void Planning::PlanDisposal(Stage stage, const DetachedTable& table) {
  if (table.on_expiry == OnExpiry::kDetach) return;
  bool is_drop = table.on_expiry == OnExpiry::kDrop;
  Action action{.kind = is_drop ? ActionKind::kDrop : ActionKind::kMoveToSchema,
                .parent = {state_.table.id, state_.table.name},
                .object = {table.id, table.name},
                .is_foreign = table.is_foreign,
                .schema = table.schema,
                .reason = is_drop ? "It is expired and detached: it is dropped."
                                  : "It is expired and detached: it moves to schema " +
                                        QuoteIdentifier(table.schema) + ".",
                .lock = Lock("ACCESS EXCLUSIVE", table.name),
                .rows = table.rows,
                .bytes = table.bytes};
  if (is_drop && table.is_referenced) {
    action.kind = ActionKind::kBlocked;
    action.reason += " It stays: " + Obstacle(true, false) + ".";
    action.lock.clear();
  }
  Add(stage, std::move(action));
}

std::string Planning::NameOf(std::string_view name_template, const TableName& table,
                             const NameParts& parts, const std::set<std::string>& freed_names) {
  std::string name =
      PartitionName(name_template, table.name, parts, [&](const std::string& candidate) {
        if (names_.count(candidate) > 0) return true;
        return freed_names.count(candidate) == 0 && state_.is_taken(candidate);
      });
  names_.insert(name);
  return name;
}

NewPartition Planning::Make(const Level& level, const Bound& bound, const NameParts& parts,
                            const std::string& tablespace, const std::optional<Range>& within,
                            const std::set<std::string>& freed_names) {
  NewPartition made{
      .name = {state_.table.name.schema,
               NameOf(level.policy->name_template, level.table->name, parts, freed_names)},
      .bound = bound,
      .tablespace = tablespace.empty() ? level.tablespace : tablespace,
      .below = level.policy->below};
  if (made.below) {
    bool same_column = made.below->key.column == level.policy->key.column;
    made.parts =
        PartsOf(*made.below, made.name, made.tablespace, same_column ? within : std::nullopt);
  }
  return made;
}

// A table that is not there yet gets what a plan for it would make. It is attached with all of it:
// until it has partitions it takes no rows.
std::vector<NewPartition> Planning::PartsOf(const PartitionPolicy& policy, const TableName& table,
                                            const std::string& tablespace,
                                            const std::optional<Range>& within) {
  PartitionedTable empty{.name = table, .leaves = {}};
  Planning planning(state_, last_run_, now_);
  planning.names_.swap(names_);
  planning.PlanTable(
      {.policy = &policy, .table = &empty, .tablespace = tablespace, .within = within});
  names_.swap(planning.names_);
  std::vector<NewPartition> parts;
  for (Ranked& ranked : planning.actions_)
    for (NewPartition& made : ranked.action.created) parts.push_back(std::move(made));
  return parts;
}

Action Planning::Creating(ActionKind kind, const Level& level, std::vector<NewPartition> created,
                          std::string reason) const {
  Action action{.kind = kind,
                .parent = level.Ref(),
                .object = {0, created.front().name},
                .bound = created.front().bound,
                .reason = std::move(reason),
                .lock = LockOf(kind, level)};
  action.created = std::move(created);
  return action;
}

std::vector<Bound> Planning::TargetsUnder(PartitionId parent) const {
  std::vector<Bound> targets;
  for (const UnfinishedRewrite& rewrite : state_.rewrites)
    if (rewrite.parent == parent)
      targets.insert(targets.end(), rewrite.targets.begin(), rewrite.targets.end());
  return targets;
}

bool Planning::MustWait(const Action& action) const {
  if (action.kind != ActionKind::kDrain && action.kind != ActionKind::kSplit &&
      action.kind != ActionKind::kMoveByRewrite)
    return false;
  return std::any_of(state_.rewrites.begin(), state_.rewrites.end(),
                     [&](const auto& rewrite) { return rewrite.parent == action.parent.id; });
}

Plan Planning::Finish() {
  std::stable_sort(actions_.begin(), actions_.end(), [](const Ranked& left, const Ranked& right) {
    if (left.stage != right.stage) return left.stage < right.stage;
    return left.distance < right.distance;
  });
  Plan plan{.newest = std::move(newest_), .ranges_ahead = ranges_ahead_};
  for (Ranked& ranked : actions_) plan.actions.push_back(std::move(ranked.action));
  // The clock of record never goes back by itself.
  Point last_run = last_run_.value_or(now_);
  plan.clock = clock_is_trusted_ ? std::max(now_, last_run) : last_run;
  return plan;
}

Plan Planning::Run(const PartitionPolicy& policy, const PartitionState& state, Point now) {
  Planning planning(state, policy.last_run, now);
  for (const UnfinishedRewrite& rewrite : state.rewrites) {
    planning.sources_.insert(rewrite.sources.begin(), rewrite.sources.end());
    Action action{.kind = ActionKind::kResumeRewrite,
                  .parent = {rewrite.parent, rewrite.parent_name},
                  .object = {rewrite.parent, rewrite.parent_name},
                  .rewrite = rewrite.id,
                  .reason = "A " + rewrite.operation + " was interrupted.",
                  .lock = Lock("ACCESS EXCLUSIVE", rewrite.parent_name) + " (at the end)",
                  .rows = rewrite.rows,
                  .bytes = rewrite.bytes};
    if (rewrite.is_running) {
      action.kind = ActionKind::kNotice;
      action.reason = "A " + rewrite.operation + " is under way.";
      action.lock.clear();
    }
    planning.Add(Stage::kFinish, std::move(action));
  }
  for (const DetachedTable& table : state.detached) planning.PlanDisposal(Stage::kFinish, table);
  planning.PlanTable({.policy = &policy, .table = &state.table});
  return planning.Finish();
}

}  // namespace teamscale::core

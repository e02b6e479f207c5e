// The plan of a range policy's table.
//
//   retention          first kept leaf                 now        window's end
//       |                   |                           |              |
//   ----xxxxxxx-------------####--gap--#########--------##--premake----|-----
//       expired             kept, whatever their names and widths
//
// What is open between the first kept leaf and the window's end is filled with the calendar's
// ranges, cut where leaves are in the way.
#include <algorithm>
#include <limits>
#include <unordered_map>
#include <utility>

#include "teamscale/core/partition/coverage.h"
#include "teamscale/core/partition/planning.h"
#include "teamscale/core/partition/range_clock.h"

namespace teamscale::core {

namespace {

// A gap that would take more ranges than this, such as one up to a stray row, is shown and left
// open; a drain of more ranges goes on with the next plan. What a policy begins with may be more.
constexpr std::size_t kMostRangesOfGap = 1000;
constexpr std::size_t kMostRangesDrained = 1000;
constexpr std::size_t kMostRangesAtStart = 100000;

std::uint64_t Distance(Point from, Point to) {
  auto [low, high] = std::minmax(from, to);
  return static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
}

// A range to be made with rows of the default partition.
struct Drained {
  Range range;
  std::int64_t rows = 0;
  std::int64_t bytes = 0;
};

// Leaves that are replaced, and what takes their place.
struct Replacement {
  std::vector<const Leaf*> leaves;
  std::vector<Range> ranges;
};

class RangePlan {
 public:
  RangePlan(Planning& planning, const Level& level)
      : planning_(planning),
        level_(level),
        rules_(std::get<RangeRules>(level.policy->rules)),
        calendar_(rules_.calendar),
        clock_(ReadRangeClock(rules_, *level.table, planning.last_run(), planning.now())) {}

  void Run() {
    CheckClock();
    SortLeaves();
    Drain();
    Fill();
    planning_.PlanDefault(level_);
    for (const Leaf* leaf : kept_) Keep(*leaf);
  }

 private:
  void CheckClock();
  void SortLeaves();
  void SortLeaf(const Leaf& leaf, const RangeBound& bound);
  bool IsOutdated(const Leaf& leaf, const Range& range) const;
  void Drain();
  void DrainOne(const Drained& drained);
  void DrainRows(const RowsInDefault& rows, const Coverage& taken);
  void Fill();
  void AddRangesIn(const Range& gap, std::size_t most, std::vector<Range>& ranges);
  std::vector<Range> RangesToBeThere() const;
  std::optional<Range> RangeBeforeWindow() const;
  void Make(const std::vector<Range>& ranges);
  void MakeOne(const Range& range);
  void Replace(const Replacement& replacement);
  void Keep(const Leaf& leaf);
  void Notice(Stage stage, std::string reason);
  void NoticeOpenEnd();

  // The calendar's ranges in an open stretch, cut to it; what is expired is left out. Nothing when
  // there are more than most.
  std::optional<std::vector<Range>> RangesIn(const Range& gap, std::size_t most) const;
  bool IsExpired(const Range& range) const {
    return range.upper && clock_.kept_from && *range.upper <= *clock_.kept_from;
  }
  bool HasRowsInDefault(const Range& range) const;
  std::string TablespaceOf(const Range& range) const;
  NewPartition NewPartitionOf(const Range& range, const std::set<std::string>& freed_names = {});
  RangeBound BoundOf(const Range& range) const;
  std::string UpperText(const RangeBound& bound) const;
  std::uint64_t DistanceOf(const Range& range) const;
  void RecordRangesAhead();

  Planning& planning_;
  const Level& level_;
  const RangeRules& rules_;
  const PartitionCalendar& calendar_;
  RangeClock clock_;
  std::vector<const Leaf*> kept_;
  // Kept too, but not any more once what takes their place can be made.
  std::vector<const Leaf*> outdated_;
  // What is attached now, or will be when what was interrupted is finished; without outdated ones.
  std::vector<Range> taken_;
  std::vector<Range> outdated_ranges_;
  // Of kept leaves, the least lower bound.
  std::optional<Range> first_kept_;
  // The texts of bounds as the catalog has them, of what ends and of what begins at a point.
  std::unordered_map<Point, const std::string*> end_texts_;
  std::unordered_map<Point, const std::string*> begin_texts_;
  std::set<std::string> notices_;
  std::vector<Drained> drained_;  // ascending
  bool drains_all_ = true;
  // Points from which on tablespace rules apply, in the policy's order.
  std::vector<std::pair<std::optional<Point>, const std::string*>> tablespaces_;
};

void RangePlan::CheckClock() {
  if (!clock_.guard.empty()) {
    if (calendar_.axis().IsTime()) {
      planning_.DistrustClock(clock_.guard);
    } else {
      planning_.Guard(level_.Ref(), clock_.guard);
    }
  }
  if (clock_.has_time && !calendar_.axis().IsTime())
    planning_.RecordNewest(*level_.table, clock_.trusted);
  for (const TablespaceRule& rule : level_.policy->tablespaces) {
    std::optional<Point> older_than = std::numeric_limits<Point>::max();
    if (!IsZero(rule.age)) older_than = PointOfAge(calendar_, clock_.trusted, rule.age);
    tablespaces_.emplace_back(older_than, &rule.tablespace);
  }
}

void RangePlan::SortLeaves() {
  for (const Leaf& leaf : level_.table->leaves) {
    if (leaf.detach_pending) planning_.FinishDetach(level_, leaf);
    if (const auto* bound = std::get_if<RangeBound>(&leaf.bound)) SortLeaf(leaf, *bound);
  }
  for (const Bound& target : planning_.TargetsUnder(level_.table->id))
    if (const auto* bound = std::get_if<RangeBound>(&target)) {
      taken_.push_back(bound->range);
      if (!first_kept_ || LowerIsBefore(bound->range, *first_kept_)) first_kept_ = bound->range;
    }
  RecordRangesAhead();
}

void RangePlan::SortLeaf(const Leaf& leaf, const RangeBound& bound) {
  const Range& range = bound.range;
  bool is_expired = IsExpired(range) && !planning_.IsBeingRewritten(leaf.id);
  if (is_expired)
    planning_.PlanExpiry(level_, leaf, *rules_.retention,
                         "Its range ends at '" + UpperText(bound) + "', and rows are kept from '" +
                             calendar_.axis().Literal(*clock_.kept_from) + "' on.");
  // A detach that is finished first leaves its range open; expiry comes last.
  if (leaf.detach_pending) return;
  if (range.upper && !bound.upper_text.empty()) end_texts_[*range.upper] = &bound.upper_text;
  if (range.lower && !bound.lower_text.empty()) begin_texts_[*range.lower] = &bound.lower_text;
  if (!is_expired && IsOutdated(leaf, range)) {
    outdated_.push_back(&leaf);
    outdated_ranges_.push_back(range);
  } else {
    taken_.push_back(range);
  }
  if (is_expired) return;
  if (!first_kept_ || LowerIsBefore(range, *first_kept_)) first_kept_ = range;
  kept_.push_back(&leaf);
}

// Made ahead by an interval that is not in force there any more, and not used yet.
bool RangePlan::IsOutdated(const Leaf& leaf, const Range& range) const {
  if (!leaf.is_empty || leaf.is_foreign || leaf.is_referenced || leaf.is_published) return false;
  if (planning_.IsBeingRewritten(leaf.id) || !clock_.guard.empty() || level_.within) return false;
  if (!range.lower || *range.lower <= clock_.now || !clock_.window) return false;
  if (clock_.window->upper && *range.lower >= *clock_.window->upper) return false;
  return calendar_.RangeOf(*range.lower) != range && calendar_.IsOfSomeStep(range) &&
         RangesIn(range, kMostRangesOfGap).has_value();
}

void RangePlan::Drain() {
  std::vector<Range> taken = taken_;
  taken.insert(taken.end(), outdated_ranges_.begin(), outdated_ranges_.end());
  Coverage coverage(std::move(taken));
  std::vector<RowsInDefault> rows = level_.table->rows_in_default;
  std::sort(rows.begin(), rows.end(),
            [](const auto& left, const auto& right) { return left.first < right.first; });
  for (const RowsInDefault& each : rows) DrainRows(each, coverage);
  if (drained_.size() > kMostRangesDrained) {
    Notice(Stage::kDrain, "Rows in the default partition belong to more than " +
                              std::to_string(kMostRangesDrained) +
                              " ranges: the next plan goes on with them.");
    drained_.resize(kMostRangesDrained);
    drains_all_ = false;
  }
  for (const Drained& drained : drained_) {
    taken_.push_back(drained.range);
    DrainOne(drained);
  }
}

void RangePlan::DrainOne(const Drained& drained) {
  Action action =
      planning_.Creating(ActionKind::kDrain, level_, {NewPartitionOf(drained.range)},
                         "The default partition has " + RowsText(drained.rows) + " of this range.");
  action.rows = drained.rows;
  action.bytes = drained.bytes;
  planning_.Add(Stage::kDrain, std::move(action), DistanceOf(drained.range));
}

void RangePlan::DrainRows(const RowsInDefault& rows, const Coverage& taken) {
  std::size_t first_of_these = drained_.size();
  Point point = rows.first;
  while (point <= rows.last && drained_.size() <= kMostRangesDrained) {
    if (const Range* range = taken.Find(point)) {
      if (!range->upper) break;
      point = *range->upper;
      continue;
    }
    std::optional<Range> range = calendar_.RangeOf(point);
    if (!range) {
      Notice(Stage::kDrain, "Rows in the default partition have keys that no range can hold.");
      if (point >= calendar_.axis().LowestBound()) break;
      point = calendar_.axis().LowestBound();
      continue;
    }
    Range open = range->Intersect(taken.GapAt(point));
    if (IsExpired(open)) {
      Notice(Stage::kDrain,
             "Rows in the default partition are older than the retention: they stay.");
      point = *clock_.kept_from;
      continue;
    }
    // Two stretches of rows may be of one range.
    if (drained_.empty() || drained_.back().range != open) drained_.push_back({.range = open});
    if (first_of_these == drained_.size()) first_of_these--;
    if (!open.upper) break;
    point = *open.upper;
  }
  // How rows are spread over several ranges is not known.
  auto count = static_cast<std::int64_t>(drained_.size() - first_of_these);
  for (std::size_t i = first_of_these; i < drained_.size(); i++) {
    drained_[i].rows += rows.rows / count;
    drained_[i].bytes += rows.bytes / count;
  }
}

// What must be there whatever it takes: the windows, or all of what a leaf above holds, and the
// calendar's ranges in the place of outdated ones.
std::vector<Range> RangePlan::RangesToBeThere() const {
  std::vector<Range> ranges;
  if (level_.within && level_.within->lower && level_.within->upper) {
    ranges.push_back(*level_.within);
  } else {
    for (const std::optional<Range>& window : {clock_.window, clock_.trusted_window})
      if (window) ranges.push_back(level_.within ? window->Intersect(*level_.within) : *window);
  }
  for (const Range& outdated : outdated_ranges_) {
    ranges.push_back(*calendar_.RangeOf(*outdated.lower));
    if (outdated.upper) {
      std::optional<Range> last = calendar_.RangeOf(*outdated.upper - 1);
      ranges.push_back(
          {.lower = ranges.back().lower, .upper = last ? last->upper : outdated.upper});
    }
  }
  return Merge(std::move(ranges));
}

// From the first kept leaf to the window, or from where the policy begins.
std::optional<Range> RangePlan::RangeBeforeWindow() const {
  if (!clock_.trusted_window || level_.within) return std::nullopt;
  std::optional<Range> first = first_kept_;
  // Once it is drained, a range is the first kept one.
  if (!drained_.empty() && (!first || LowerIsBefore(drained_.front().range, *first)))
    first = drained_.front().range;
  if (!first && rules_.start_at) first = calendar_.RangeOf(*rules_.start_at);
  if (!first) return std::nullopt;
  Range before{.lower = first->lower, .upper = clock_.trusted_window->lower};
  if (clock_.kept_from) {
    std::optional<Range> kept = calendar_.RangeOf(*clock_.kept_from);
    if (kept && LowerIsBefore(before, *kept)) before.lower = kept->lower;
  }
  return before;
}

void RangePlan::Fill() {
  if (!clock_.window)
    Notice(Stage::kPremake,
           std::string(calendar_.axis().IsTime() ? "The clock" : "The newest key") +
               " is beyond all keys of type " + calendar_.axis().Name() +
               ": no partition can be made ahead.");
  Coverage taken(taken_);
  std::vector<Range> ranges;
  for (const Range& there : RangesToBeThere())
    for (const Range& gap : taken.Gaps(there)) AddRangesIn(gap, kMostRangesAtStart, ranges);
  Make(ranges);
  if (std::optional<Range> before = RangeBeforeWindow()) {
    bool begins = !first_kept_ && drained_.empty();
    // What was made just now, under a clock that is not believed, may lie within.
    taken_.insert(taken_.end(), ranges.begin(), ranges.end());
    ranges.clear();
    for (const Range& gap : Coverage(taken_).Gaps(*before))
      AddRangesIn(gap, begins ? kMostRangesAtStart : kMostRangesOfGap, ranges);
    for (const Range& range : ranges) MakeOne(range);
  }
  NoticeOpenEnd();
}

void RangePlan::AddRangesIn(const Range& gap, std::size_t most, std::vector<Range>& ranges) {
  if (std::optional<std::vector<Range>> found = RangesIn(gap, most)) {
    ranges.insert(ranges.end(), found->begin(), found->end());
  } else {
    Notice(Stage::kFill, "The gap " + calendar_.axis().Text(gap) + " would take more than " +
                             std::to_string(most) + " partitions: it is left open.");
  }
}

// Ranges that meet outdated leaves take their place, all that hang together at once.
void RangePlan::Make(const std::vector<Range>& ranges) {
  std::sort(outdated_.begin(), outdated_.end(), [](const Leaf* left, const Leaf* right) {
    return LowerIsBefore(std::get<RangeBound>(left->bound).range,
                         std::get<RangeBound>(right->bound).range);
  });
  std::size_t next_range = 0;
  std::size_t next_leaf = 0;
  while (next_range < ranges.size()) {
    Replacement together;
    Range extent = ranges[next_range];
    while (true) {
      if (next_range < ranges.size() && ranges[next_range].Overlaps(extent)) {
        if (UpperIsBefore(extent, ranges[next_range])) extent.upper = ranges[next_range].upper;
        together.ranges.push_back(ranges[next_range++]);
        continue;
      }
      if (next_leaf < outdated_.size()) {
        const Range& leaf = std::get<RangeBound>(outdated_[next_leaf]->bound).range;
        if (leaf.Overlaps(extent)) {
          if (LowerIsBefore(leaf, extent)) extent.lower = leaf.lower;
          if (UpperIsBefore(extent, leaf)) extent.upper = leaf.upper;
          together.leaves.push_back(outdated_[next_leaf++]);
          continue;
        }
      }
      break;
    }
    Replace(together);
  }
}

void RangePlan::Replace(const Replacement& replacement) {
  if (replacement.leaves.empty()) {
    for (const Range& range : replacement.ranges) MakeOne(range);
    return;
  }
  std::vector<Range> old;
  std::set<std::string> freed_names;
  std::vector<TableRef> replaced;
  for (const Leaf* leaf : replacement.leaves) {
    old.push_back(std::get<RangeBound>(leaf->bound).range);
    freed_names.insert(leaf->name.name);
    replaced.push_back({leaf->id, leaf->name});
  }
  // What is in the way on both sides leaves them as they are.
  if (old == replacement.ranges) return;
  std::erase_if(kept_, [&](const Leaf* leaf) {
    return std::find(replacement.leaves.begin(), replacement.leaves.end(), leaf) !=
           replacement.leaves.end();
  });
  std::vector<NewPartition> created;
  for (const Range& range : replacement.ranges)
    created.push_back(NewPartitionOf(range, freed_names));
  Action action = planning_.Creating(
      ActionKind::kReplace, level_, std::move(created),
      "The interval is " + StepText(calendar_.StepAt(*replacement.ranges.front().lower)) +
          " there now, and what was made ahead by another one is empty.");
  action.replaced = std::move(replaced);
  planning_.Add(Stage::kFill, std::move(action), DistanceOf(replacement.ranges.front()));
}

void RangePlan::MakeOne(const Range& range) {
  if (!drains_all_ && HasRowsInDefault(range)) {
    DrainOne({.range = range});
    return;
  }
  bool is_ahead = (clock_.window && clock_.window->Overlaps(range)) ||
                  (clock_.trusted_window && clock_.trusted_window->Overlaps(range)) ||
                  level_.within.has_value();
  std::string reason = "It is a gap between partitions.";
  if (range.Contains(clock_.now)) {
    reason = calendar_.axis().IsTime() ? "It is the range of now."
                                       : "It is the range of the newest key.";
  } else if (is_ahead) {
    reason = std::to_string(rules_.premake) + " ranges of " +
             StepText(calendar_.StepAt(range.lower.value_or(clock_.now))) + " are kept ahead.";
  } else if (!first_kept_) {
    reason = "The policy begins before it.";
  }
  planning_.Add(
      is_ahead ? Stage::kPremake : Stage::kFill,
      planning_.Creating(ActionKind::kCreate, level_, {NewPartitionOf(range)}, std::move(reason)),
      DistanceOf(range));
}

void RangePlan::Keep(const Leaf& leaf) {
  const Range& range = std::get<RangeBound>(leaf.bound).range;
  std::string tablespace = TablespaceOf(range);
  if (leaf.parts) {
    planning_.PlanBelow(level_, leaf, tablespace, range);
  } else {
    planning_.PlanTablespace(level_, leaf, tablespace);
  }
}

void RangePlan::Notice(Stage stage, std::string reason) {
  if (!notices_.insert(reason).second) return;
  planning_.Add(stage, {.kind = ActionKind::kNotice,
                        .parent = level_.Ref(),
                        .object = level_.Ref(),
                        .reason = std::move(reason)});
}

void RangePlan::NoticeOpenEnd() {
  for (const Leaf* leaf : kept_) {
    const Range& range = std::get<RangeBound>(leaf->bound).range;
    if (range.upper) continue;
    std::optional<Range> natural =
        calendar_.RangeOf(range.lower.value_or(calendar_.axis().LowestBound()));
    if (natural && natural->upper)
      Notice(Stage::kPremake, "Partition " + QuoteName(leaf->name) +
                                  " has no upper bound: all rows to come are its own.");
  }
}

void RangePlan::RecordRangesAhead() {
  if (!clock_.window || level_.within || level_.table->id == 0) return;
  std::vector<Range> taken = taken_;
  taken.insert(taken.end(), outdated_ranges_.begin(), outdated_ranges_.end());
  Coverage coverage(std::move(taken));
  std::int64_t ahead = -1;
  std::optional<Range> range = calendar_.RangeOf(clock_.now);
  while (range && ahead < rules_.premake && coverage.Gaps(*range).empty()) {
    ahead++;
    range = calendar_.Next(*range);
  }
  planning_.RecordRangesAhead(ahead);
}

std::optional<std::vector<Range>> RangePlan::RangesIn(const Range& gap, std::size_t most) const {
  std::vector<Range> ranges;
  const KeyAxis& axis = calendar_.axis();
  Point point = std::max(gap.lower.value_or(axis.LowestBound()), axis.LowestBound());
  // What is expired is left out at once.
  std::optional<Range> kept;
  if (clock_.kept_from) kept = calendar_.RangeOf(*clock_.kept_from);
  if (kept && kept->lower) point = std::max(point, *kept->lower);
  while (!gap.upper || point < *gap.upper) {
    std::optional<Range> range = calendar_.RangeOf(point);
    if (!range) break;
    Range open = range->Intersect(gap);
    if (!IsExpired(open)) ranges.push_back(open);
    if (ranges.size() > most) return std::nullopt;
    if (!range->upper) break;
    point = *range->upper;
  }
  return ranges;
}

bool RangePlan::HasRowsInDefault(const Range& range) const {
  return std::any_of(level_.table->rows_in_default.begin(), level_.table->rows_in_default.end(),
                     [&](const RowsInDefault& rows) {
                       return (!range.upper || rows.first < *range.upper) &&
                              (!range.lower || rows.last >= *range.lower);
                     });
}

std::string RangePlan::TablespaceOf(const Range& range) const {
  std::string tablespace = level_.tablespace;
  for (const auto& [older_than, name] : tablespaces_) {
    bool always = older_than == std::numeric_limits<Point>::max();
    if (always || (older_than && range.upper && *range.upper <= *older_than)) tablespace = *name;
  }
  return tablespace;
}

NewPartition RangePlan::NewPartitionOf(const Range& range,
                                       const std::set<std::string>& freed_names) {
  return planning_.Make(level_, BoundOf(range), NamePartsOf(calendar_, range), TablespaceOf(range),
                        range, freed_names);
}

// Meets its neighbours where they are, even between two points.
RangeBound RangePlan::BoundOf(const Range& range) const {
  RangeBound bound = RangeBoundOf(calendar_.axis(), range);
  if (range.lower) {
    auto found = end_texts_.find(*range.lower);
    if (found != end_texts_.end()) bound.lower_text = *found->second;
  }
  if (range.upper) {
    auto found = begin_texts_.find(*range.upper);
    if (found != begin_texts_.end()) bound.upper_text = *found->second;
  }
  return bound;
}

std::string RangePlan::UpperText(const RangeBound& bound) const {
  return bound.upper_text.empty() ? calendar_.axis().Literal(*bound.range.upper) : bound.upper_text;
}

std::uint64_t RangePlan::DistanceOf(const Range& range) const {
  if (range.Contains(clock_.now)) return 0;
  bool is_after = range.lower && *range.lower > clock_.now;
  return is_after ? Distance(*range.lower, clock_.now) : Distance(*range.upper, clock_.now);
}

}  // namespace

void PlanRanges(Planning& planning, const Level& level) { RangePlan(planning, level).Run(); }

}  // namespace teamscale::core

// What must hold of plans whatever the policy, the partitions that are there, the rows and the
// clock: thousands of random ones, each from a seed that a failure names.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>

#include "civil.h"
#include "model.h"
#include "system_zone.h"
#include "teamscale/core/partition/coverage.h"

namespace teamscale::core {
namespace {

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}

  std::int64_t Between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(high - low + 1));
  }
  bool Once(std::int64_t in) { return Between(1, in) == 1; }
  template <typename T>
  const T& Pick(const std::vector<T>& from) {
    return from[static_cast<std::size_t>(Between(0, static_cast<std::int64_t>(from.size()) - 1))];
  }

 private:
  std::mt19937_64 random_;
};

// A random range policy and how long its ranges are about.
struct Scenario {
  PartitionPolicy policy;
  std::shared_ptr<const ZoneRules> zone;
  Point width;
  bool is_time;
};

std::shared_ptr<const ZoneRules> RandomZone(Dice& dice) {
  static const std::vector<std::shared_ptr<const ZoneRules>> zones = {
      std::make_shared<FixedZone>(),
      std::make_shared<FixedZone>(5 * kHour + 45 * kMinute),
      std::make_shared<FixedZone>(-11 * kHour),
      std::make_shared<SystemZone>("Europe/Berlin"),
      std::make_shared<SystemZone>("America/Havana"),
      std::make_shared<SystemZone>("Pacific/Apia")};
  // Real zones take longer.
  return zones[static_cast<std::size_t>(dice.Once(4) ? dice.Between(3, 5) : dice.Between(0, 2))];
}

std::pair<Step, Point> RandomStep(Dice& dice, KeyFormat format) {
  if (format == KeyFormat::kNumber) {
    std::int64_t number = dice.Pick<std::int64_t>({1, 10, 1000, 1000000, 7});
    return {{StepUnit::kNumbers, number}, number};
  }
  if (dice.Once(3)) {
    std::int64_t months = dice.Pick<std::int64_t>({1, 1, 3, 12, 5});
    return {{StepUnit::kMonths, months}, months * 30 * kDay};
  }
  if (format == KeyFormat::kDate || dice.Once(2)) {
    std::int64_t days = dice.Pick<std::int64_t>({1, 7, 14, 10});
    return {{StepUnit::kDays, days}, days * kDay};
  }
  std::int64_t hours = dice.Pick<std::int64_t>({1, 6, 24, 36});
  return {{StepUnit::kMicroseconds, hours * kHour}, hours * kHour};
}

constexpr Point kStart = 1323000000 * kSecond;  // December 2011, before Samoa left out a day

Scenario RandomScenario(Dice& dice) {
  static const std::vector<KeyFormat> formats = {
      KeyFormat::kDate,   KeyFormat::kTimestamp,    KeyFormat::kTimestampTz,
      KeyFormat::kNumber, KeyFormat::kEpochSeconds, KeyFormat::kEpochMilliseconds,
      KeyFormat::kUuidV7, KeyFormat::kUlid};
  KeyFormat format = dice.Pick(formats);
  auto [step, width] = RandomStep(dice, format);
  KeyAxis axis(format);
  std::shared_ptr<const ZoneRules> zone = RandomZone(dice);
  Scenario scenario{
      .policy = {.key = {.column = "at"},
                 .rules = RangeRules{.calendar = PartitionCalendar(axis, zone, {{.step = step}}),
                                     .premake = dice.Between(0, 5)},
                 .default_partition = dice.Once(2)},
      .zone = zone,
      .width = width,
      .is_time = axis.IsTime()};
  auto& rules = std::get<RangeRules>(scenario.policy.rules);
  if (dice.Once(2)) {
    Retention retention{.age = dice.Between(1, 6)};
    if (axis.IsTime() && dice.Once(2))
      retention.age = Interval{.days = dice.Between(1, 4) * (width / kDay + 1)};
    retention.on_expiry = dice.Once(3) ? OnExpiry::kDetach : OnExpiry::kDrop;
    rules.retention = retention;
  }
  if (dice.Once(4)) rules.start_at = (axis.IsTime() ? kStart : 0) - dice.Between(0, 9) * width;
  if (dice.Once(3)) {
    scenario.policy.tablespaces = {{dice.Between(1, 3), "bulk"}};
    if (dice.Once(2))
      scenario.policy.tablespaces.insert(scenario.policy.tablespaces.begin(), {Interval{}, "fast"});
  }
  return scenario;
}

Point Snap(const KeyAxis& axis, Point point) {
  return point - FloorModulo(point, axis.Resolution());
}

// Partitions that somebody made: of any width, with gaps, perhaps without a bound at an end.
void AddByHand(Dice& dice, Model& model, const Scenario& scenario, Point center) {
  const KeyAxis& axis = std::get<RangeRules>(scenario.policy.rules).calendar.axis();
  Point point = center - dice.Between(0, 10) * scenario.width;
  auto count = static_cast<int>(dice.Between(0, 8));
  for (int i = 0; i < count; i++) {
    Range range{.lower = Snap(axis, point + dice.Between(0, 2) * dice.Between(0, scenario.width))};
    range.upper =
        Snap(axis, *range.lower + axis.Resolution() + dice.Between(0, 2 * scenario.width));
    point = *range.upper;
    if (i == 0 && dice.Once(6)) range.lower.reset();
    if (i == count - 1 && dice.Once(6)) range.upper.reset();
    ModelLeaf& leaf = model.Add("by hand " + std::to_string(i), RangeBoundOf(axis, range));
    if (dice.Once(10)) leaf.leaf.is_foreign = true;
    if (dice.Once(12)) leaf.leaf.is_referenced = true;
    if (dice.Once(12)) leaf.leaf.is_published = true;
    leaf.leaf.bytes = dice.Between(0, 10);
    if (!range.upper) break;
  }
}

std::vector<ModelRow> Sorted(std::vector<ModelRow> rows) {
  std::sort(rows.begin(), rows.end(), [](const ModelRow& left, const ModelRow& right) {
    return std::tie(left.at, left.value, left.hash) < std::tie(right.at, right.value, right.hash);
  });
  return rows;
}

// The stages of a plan in their order.
int StageOf(const Action& action) {
  switch (action.kind) {
    case ActionKind::kGuard:
      return 0;
    case ActionKind::kFinishDetach:
    case ActionKind::kResumeRewrite:
      return 1;
    case ActionKind::kCreate:
    case ActionKind::kReplace:
      return 2;
    case ActionKind::kDrain:
      return 3;
    case ActionKind::kMoveInPlace:
    case ActionKind::kMoveByRewrite:
      return 4;
    case ActionKind::kDetach:
    case ActionKind::kDrop:
    case ActionKind::kMoveToSchema:
      return 5;
    case ActionKind::kSplit:
      return 6;
    case ActionKind::kNotice:
    case ActionKind::kBlocked:
      break;
  }
  return -1;
}

class RangeRun {
 public:
  explicit RangeRun(std::uint64_t seed)
      : dice_(seed),
        scenario_(RandomScenario(dice_)),
        model_(scenario_.policy,
               dice_.Once(2) ? "t"
                             : "a \"table\" %s, {period} and a name that is as long as one can be"),
        center_(scenario_.is_time ? kStart : dice_.Between(-5, 100) * scenario_.width),
        now_(kStart) {}

  void Go() {
    AddByHand(dice_, model_, scenario_, center_);
    for (const ModelLeaf& leaf : model_.table().leaves)
      by_hand_.emplace(leaf.leaf.id, leaf.leaf.bound);
    for (int round = 0; round < 6 && !testing::Test::HasFailure(); round++) {
      Disturb(round);
      Maintain();
    }
  }

 private:
  RangeRules& Rules() { return std::get<RangeRules>(model_.policy().rules); }
  const PartitionCalendar& Calendar() { return Rules().calendar; }

  // Where the clock stands on the axis.
  Point Here() { return scenario_.is_time ? Calendar().PointOfInstant(now_) : center_; }

  void Disturb(int round) {
    bool leaps = false;
    Point leap = dice_.Between(0, 2 * scenario_.width);
    if (scenario_.is_time) {
      if (round > 1 && dice_.Once(6)) {
        leaps = true;
        leap = dice_.Between(40, 400) * (kDay + scenario_.width);
        if (dice_.Once(2)) leap = -leap;
      }
      now_ = (leaps ? *model_.policy().last_run : now_) + leap;
    } else {
      center_ += leap / 2;
    }
    ChangeInterval();
    for (std::int64_t i = dice_.Between(0, 20); i > 0; i--) {
      Point at = Snap(Calendar().axis(),
                      Here() + dice_.Between(-8, 8) * dice_.Between(0, scenario_.width));
      if (dice_.Once(25)) at = Snap(Calendar().axis(), Here() - 3000 * scenario_.width);
      ModelRow row{.at = at, .hash = static_cast<std::uint32_t>(++rows_)};
      if (model_.Insert(row)) inserted_.push_back(row);
    }
    for (ModelLeaf& leaf : model_.table().leaves)
      if (dice_.Once(30) && !std::holds_alternative<DefaultBound>(leaf.leaf.bound))
        leaf.leaf.detach_pending = true;
  }

  void ChangeInterval() {
    if (!dice_.Once(5) || Calendar().segments().size() > 3) return;
    std::vector<Segment> segments = Calendar().segments();
    auto [step, width] = RandomStep(dice_, Calendar().axis().format());
    Point from = Snap(Calendar().axis(), Here() + dice_.Between(-2, 4) * scenario_.width +
                                             dice_.Between(0, scenario_.width));
    if (segments.back().from && *segments.back().from >= from) return;
    // Not so fine that one old partition becomes thousands.
    if (scenario_.width / width > 200) return;
    segments.push_back({.from = from, .step = step});
    if (CheckSegments(Calendar().axis(), segments)) return;
    PartitionCalendar calendar = Calendar();
    Rules().calendar = PartitionCalendar(calendar.axis(), scenario_.zone, segments);
    if (CheckPolicy(model_.policy())) Rules().calendar = calendar;
  }

  void Maintain() {
    bool details = !dice_.Once(4);
    Plan of_last_run;
    if (last_believed_) of_last_run = model_.MakePlan(*last_believed_, details);
    Plan plan = model_.Run(now_, details);
    SCOPED_TRACE(Brief(plan) + model_.Describe());
    CheckOrder(plan);
    if (IsGuarded(plan) && scenario_.is_time) {
      EXPECT_EQ(Expiring(plan), Expiring(of_last_run));
    }
    if (scenario_.is_time) {
      EXPECT_EQ(plan.clock, IsGuarded(plan) ? *last_believed_ : now_);
    }
    last_believed_ = plan.clock;
    if (!plan.newest.empty()) newest_ = plan.newest[0].newest;
    CheckExpiry(plan);
    CheckNothingLost();
    CheckCovered();
    CheckByHand(plan);
    EXPECT_FALSE(HasWork(model_.MakePlan(now_, details))) << Brief(model_.MakePlan(now_, details));
  }

  static bool IsGuarded(const Plan& plan) {
    return !plan.actions.empty() && plan.actions[0].kind == ActionKind::kGuard;
  }

  static std::set<PartitionId> Expiring(const Plan& plan) {
    std::set<PartitionId> ids;
    for (const Action& action : plan.actions)
      if (action.kind == ActionKind::kDetach) ids.insert(action.object.id);
    return ids;
  }

  void CheckOrder(const Plan& plan) {
    int stage = 0;
    for (const Action& action : plan.actions) {
      if (StageOf(action) < 0) continue;
      EXPECT_LE(stage, StageOf(action));
      stage = std::max(stage, StageOf(action));
    }
  }

  // From where on rows are kept, reckoned from what was last believed.
  std::optional<Point> KeptFrom() {
    if (!Rules().retention || (!scenario_.is_time && !newest_)) return std::nullopt;
    Point clock = scenario_.is_time ? Calendar().PointOfInstant(*last_believed_) : *newest_;
    if (const auto* interval = std::get_if<Interval>(&Rules().retention->age)) {
      Point days = interval->days * kDay;
      if (Calendar().axis().IsCivil()) return clock - days;
      return scenario_.zone->LocalToInstant(scenario_.zone->InstantToLocal(clock) - days);
    }
    std::optional<Range> kept = Calendar().RangeOf(clock);
    for (std::int64_t i = std::get<std::int64_t>(Rules().retention->age); i > 0 && kept; i--)
      kept = Calendar().Previous(*kept);
    return kept ? kept->lower : std::nullopt;
  }

  bool IsExpired(const Range& range) {
    std::optional<Point> kept_from = KeptFrom();
    return kept_from && range.upper && *range.upper <= *kept_from;
  }

  void CheckExpiry(const Plan& plan) {
    for (const Action& action : plan.actions) {
      if (action.kind != ActionKind::kDetach) continue;
      EXPECT_TRUE(IsExpired(std::get<RangeBound>(action.bound).range));
    }
  }

  void CheckNothingLost() {
    std::vector<ModelRow> rows = model_.Rows();
    rows.insert(rows.end(), model_.expired().begin(), model_.expired().end());
    EXPECT_EQ(Sorted(rows), Sorted(inserted_));
  }

  // The range of now and those ahead, and between the first partition and them all but wide gaps.
  void CheckCovered() {
    std::vector<Range> ranges;
    for (const ModelLeaf& leaf : model_.table().leaves)
      if (const auto* bound = std::get_if<RangeBound>(&leaf.leaf.bound))
        ranges.push_back(bound->range);
    Coverage coverage(ranges);
    std::optional<Range> range;
    if (scenario_.is_time) {
      range = Calendar().RangeOf(Calendar().PointOfInstant(std::max(now_, *last_believed_)));
    } else if (newest_) {
      range = Calendar().RangeOf(*newest_);
    }
    if (range && !ranges.empty()) CheckBefore(coverage, ranges);
    for (std::int64_t i = 0; range && i <= Rules().premake; i++) {
      for (const Range& gap : coverage.Gaps(*range)) {
        EXPECT_TRUE(IsExpired(gap)) << "not covered: " << Calendar().axis().Text(gap);
      }
      range = Calendar().Next(*range);
    }
  }

  void CheckBefore(const Coverage& coverage, std::vector<Range> ranges) {
    std::erase_if(ranges, [&](const Range& range) { return IsExpired(range); });
    if (ranges.empty()) return;
    Range first = *std::min_element(ranges.begin(), ranges.end(), LowerIsBefore);
    Point clock = scenario_.is_time ? Calendar().PointOfInstant(*last_believed_) : *newest_;
    if (!first.upper) return;
    for (const Range& gap : coverage.Gaps({.lower = first.upper, .upper = clock})) {
      bool is_wide = *gap.upper - *gap.lower > 1000 * Narrowest();
      EXPECT_TRUE(is_wide || IsExpired(*Calendar().RangeOf(*gap.lower)) || IsExpired(gap))
          << "a gap: " << Calendar().axis().Text(gap);
    }
  }

  // The least width of ranges of any interval that the policy has had.
  Point Narrowest() {
    Point narrowest = scenario_.width;
    for (const Segment& segment : Calendar().segments()) {
      Point width = segment.step.count;
      if (segment.step.unit == StepUnit::kMonths) width *= 28 * kDay;
      if (segment.step.unit == StepUnit::kDays) width *= 23 * kHour;
      narrowest = std::min(narrowest, width);
    }
    return narrowest;
  }

  // Partitions made by hand stay as they are until they expire or are detached by others.
  void CheckByHand(const Plan& plan) {
    std::map<PartitionId, Bound> there;
    for (const ModelLeaf& leaf : model_.table().leaves) there[leaf.leaf.id] = leaf.leaf.bound;
    for (const Action& action : plan.actions) {
      if (action.kind == ActionKind::kDetach || action.kind == ActionKind::kFinishDetach)
        by_hand_.erase(action.object.id);
      for (const TableRef& replaced : action.replaced) by_hand_.erase(replaced.id);
    }
    for (const auto& [id, bound] : by_hand_) EXPECT_EQ(there[id], bound);
  }

  Dice dice_;
  Scenario scenario_;
  Model model_;
  Point center_;
  Point now_;
  std::optional<Point> last_believed_;
  std::optional<Point> newest_;
  std::int64_t rows_ = 0;
  std::vector<ModelRow> inserted_;
  std::map<PartitionId, Bound> by_hand_;
};

// A long run has more.
std::uint64_t Seeds() {
  const char* seeds = std::getenv("TEAMSCALE_PLAN_SEEDS");
  return seeds != nullptr ? std::strtoull(seeds, nullptr, 10) : 300;
}

TEST(PlanProperties, HoldForRangesOfEveryKind) {
  for (std::uint64_t seed = 1; seed <= Seeds(); seed++) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RangeRun(seed).Go();
    if (HasFailure()) break;
  }
}

}  // namespace
}  // namespace teamscale::core

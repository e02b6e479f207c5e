// The plan of a list policy's table: a partition for each set of values, or for each value that has
// turned up.
#include <algorithm>
#include <unordered_set>
#include <utility>

#include "teamscale/core/partition/planning.h"

namespace teamscale::core {

namespace {

std::string ValueText(const ListValue& value) { return value ? QuoteLiteral(*value) : "NULL"; }

class ListPlan {
 public:
  ListPlan(Planning& planning, const Level& level)
      : planning_(planning),
        level_(level),
        rules_(std::get<ListRules>(level.policy->rules)),
        tablespace_(TablespaceOfAnyAge(*level.policy)) {
    if (tablespace_.empty()) tablespace_ = level.tablespace;
  }

  void Run() {
    TakeLeaves();
    for (const ListBound& set : rules_.sets) MakeSet(set);
    for (const ValueInDefault& value : level_.table->values_in_default)
      if (taken_.count(value.value) == 0) TurnUp(value);
    planning_.PlanDefault(level_);
  }

 private:
  void TakeLeaves() {
    for (const Leaf& leaf : level_.table->leaves) {
      if (leaf.detach_pending) planning_.FinishDetach(level_, leaf);
      const auto* bound = std::get_if<ListBound>(&leaf.bound);
      if (bound == nullptr || leaf.detach_pending) continue;
      count_++;
      taken_.insert(bound->values.begin(), bound->values.end());
      if (leaf.parts) {
        planning_.PlanBelow(level_, leaf, tablespace_, std::nullopt);
      } else {
        planning_.PlanTablespace(level_, leaf, tablespace_);
      }
    }
    for (const Bound& target : planning_.TargetsUnder(level_.table->id)) {
      const auto* bound = std::get_if<ListBound>(&target);
      if (bound == nullptr) continue;
      count_++;
      taken_.insert(bound->values.begin(), bound->values.end());
    }
  }

  // The values of a set that no partition has yet get one.
  void MakeSet(const ListBound& set) {
    ListBound missing;
    for (const ListValue& value : set.values)
      if (taken_.count(value) == 0) missing.values.push_back(value);
    if (missing.values.empty()) return;
    ValueInDefault waiting;
    bool has_rows = false;
    for (const ValueInDefault& value : level_.table->values_in_default) {
      if (std::find(missing.values.begin(), missing.values.end(), value.value) ==
          missing.values.end())
        continue;
      has_rows = true;
      waiting.rows += value.rows;
      waiting.bytes += value.bytes;
    }
    if (has_rows) {
      Drain(missing, waiting.rows, waiting.bytes);
    } else {
      planning_.Add(Stage::kPremake,
                    planning_.Creating(ActionKind::kCreate, level_, {NewPartitionOf(missing)},
                                       "The policy has this set of values."));
    }
  }

  void TurnUp(const ValueInDefault& value) {
    if (rules_.sets.empty() && count_ < rules_.most_values) {
      Drain({{value.value}}, value.rows, value.bytes);
      return;
    }
    std::string reason = "The default partition has " + RowsText(value.rows) + " of value " +
                         ValueText(value.value) + ", which ";
    reason += rules_.sets.empty()
                  ? "would be partition " + std::to_string(count_ + 1) + ": they stay there."
                  : "is in no set of the policy: they stay there.";
    planning_.Add(Stage::kDrain, {.kind = ActionKind::kNotice,
                                  .parent = level_.Ref(),
                                  .object = level_.Ref(),
                                  .bound = ListBound{{value.value}},
                                  .reason = std::move(reason),
                                  .rows = value.rows,
                                  .bytes = value.bytes});
  }

  void Drain(const ListBound& bound, std::int64_t rows, std::int64_t bytes) {
    Action action = planning_.Creating(
        ActionKind::kDrain, level_, {NewPartitionOf(bound)},
        "The default partition has " + RowsText(rows) +
            (bound.values.size() == 1 ? " of this value." : " of these values."));
    action.rows = rows;
    action.bytes = bytes;
    planning_.Add(Stage::kDrain, std::move(action));
  }

  NewPartition NewPartitionOf(const ListBound& bound) {
    count_++;
    taken_.insert(bound.values.begin(), bound.values.end());
    return planning_.Make(level_, bound, NamePartsOf(bound), tablespace_, std::nullopt);
  }

  Planning& planning_;
  const Level& level_;
  const ListRules& rules_;
  std::string tablespace_;
  std::unordered_set<ListValue> taken_;
  std::int64_t count_ = 0;
};

}  // namespace

void PlanList(Planning& planning, const Level& level) { ListPlan(planning, level).Run(); }

}  // namespace teamscale::core

// The plan of a hash policy's table: a partition for each remainder of the policy's modulus. Leaves
// of a smaller modulus, from before it was raised, are split; of a greater one they are kept.
#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "teamscale/core/partition/planning.h"

namespace teamscale::core {

namespace {

class HashPlan {
 public:
  HashPlan(Planning& planning, const Level& level)
      : planning_(planning),
        level_(level),
        modulus_(std::get<HashRules>(level.policy->rules).modulus),
        tablespace_(TablespaceOfAnyAge(*level.policy)) {
    if (tablespace_.empty()) tablespace_ = level.tablespace;
  }

  void Run() {
    TakeLeaves();
    bool stand_together = CanStandTogether();
    for (const Leaf* leaf : kept_) {
      bool is_split = stand_together && Split(*leaf);
      if (leaf->parts) {
        planning_.PlanBelow(level_, *leaf, tablespace_, std::nullopt);
      } else if (!is_split) {
        planning_.PlanTablespace(level_, *leaf, tablespace_);
      }
    }
    if (stand_together) MakeMissing();
  }

 private:
  static const HashBound* BoundOf(const Bound& bound) { return std::get_if<HashBound>(&bound); }

  void TakeLeaves() {
    for (const Leaf& leaf : level_.table->leaves) {
      if (leaf.detach_pending) planning_.FinishDetach(level_, leaf);
      if (leaf.detach_pending || BoundOf(leaf.bound) == nullptr) continue;
      kept_.push_back(&leaf);
      taken_.push_back(*BoundOf(leaf.bound));
    }
    for (const Bound& target : planning_.TargetsUnder(level_.table->id))
      if (BoundOf(target) != nullptr) taken_.push_back(*BoundOf(target));
  }

  // PostgreSQL wants every modulus to be a factor of the next larger one.
  bool CanStandTogether() {
    for (const HashBound& bound : taken_) {
      if (modulus_ % bound.modulus == 0 || bound.modulus % modulus_ == 0) continue;
      planning_.Add(Stage::kPremake,
                    {.kind = ActionKind::kNotice,
                     .parent = level_.Ref(),
                     .object = level_.Ref(),
                     .bound = bound,
                     .reason = "There is a partition of modulus " + std::to_string(bound.modulus) +
                               ", and the policy's is " + std::to_string(modulus_) +
                               ": neither is a multiple of the other, and nothing is made."});
      return false;
    }
    return true;
  }

  // Whether the leaf will be split.
  bool Split(const Leaf& leaf) {
    const HashBound& bound = *BoundOf(leaf.bound);
    if (bound.modulus >= modulus_ || planning_.IsBeingRewritten(leaf.id)) return false;
    std::string reason = "Its modulus is " + std::to_string(bound.modulus) +
                         ", and the policy's is " + std::to_string(modulus_) + ".";
    if (leaf.is_foreign || leaf.is_referenced || leaf.is_published) {
      reason += leaf.is_foreign      ? " It stays: it is a foreign table."
                : leaf.is_referenced ? " It stays: a foreign key references this very table."
                                     : " It stays: a publication names it.";
      planning_.Add(Stage::kSplit, {.kind = ActionKind::kBlocked,
                                    .parent = level_.Ref(),
                                    .object = {leaf.id, leaf.name},
                                    .bound = bound,
                                    .reason = std::move(reason),
                                    .rows = leaf.rows,
                                    .bytes = leaf.bytes});
      return false;
    }
    std::vector<NewPartition> created;
    for (std::uint32_t remainder = bound.remainder; remainder < modulus_;
         remainder += bound.modulus)
      created.push_back(NewPartitionOf({.modulus = modulus_, .remainder = remainder}));
    // What is below is copied from the leaf as it then is.
    for (NewPartition& each : created) each.parts.clear();
    Action action =
        planning_.Creating(ActionKind::kSplit, level_, std::move(created), std::move(reason));
    action.object = {leaf.id, leaf.name};
    action.bound = bound;
    action.rows = leaf.rows;
    action.bytes = leaf.bytes;
    planning_.Add(Stage::kSplit, std::move(action));
    return true;
  }

  // Remainders of the greatest modulus that no partition has; whole ones of the policy's where all
  // that belong to it are missing.
  void MakeMissing() {
    std::uint32_t finest = modulus_;
    for (const HashBound& bound : taken_) finest = std::max(finest, bound.modulus);
    std::vector<bool> is_taken(finest);
    for (const HashBound& bound : taken_)
      for (std::size_t i = bound.remainder; i < finest; i += bound.modulus) is_taken[i] = true;
    for (std::uint32_t remainder = 0; remainder < modulus_; remainder++) {
      std::vector<std::uint32_t> missing;
      for (std::size_t i = remainder; i < finest; i += modulus_)
        if (!is_taken[i]) missing.push_back(static_cast<std::uint32_t>(i));
      if (missing.size() == finest / modulus_) {
        Make({.modulus = modulus_, .remainder = remainder});
      } else {
        for (std::uint32_t part : missing) Make({.modulus = finest, .remainder = part});
      }
    }
  }

  void Make(const HashBound& bound) {
    planning_.Add(Stage::kPremake,
                  planning_.Creating(ActionKind::kCreate, level_, {NewPartitionOf(bound)},
                                     "No partition has this remainder."));
  }

  NewPartition NewPartitionOf(const HashBound& bound) {
    return planning_.Make(level_, bound, NamePartsOf(bound), tablespace_, std::nullopt);
  }

  Planning& planning_;
  const Level& level_;
  std::uint32_t modulus_;
  std::string tablespace_;
  std::vector<const Leaf*> kept_;
  std::vector<HashBound> taken_;
};

}  // namespace

void PlanHash(Planning& planning, const Level& level) { HashPlan(planning, level).Run(); }

}  // namespace teamscale::core

#include "model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <utility>

namespace teamscale::core {

namespace {

void CollectRows(const ModelLeaf& leaf, std::vector<ModelRow>& rows) {
  rows.insert(rows.end(), leaf.rows.begin(), leaf.rows.end());
  if (!leaf.parts) return;
  for (const ModelLeaf& part : leaf.parts->leaves) CollectRows(part, rows);
}

std::vector<ModelRow> RowsOf(const ModelLeaf& leaf) {
  std::vector<ModelRow> rows;
  CollectRows(leaf, rows);
  return rows;
}

bool IsDefault(const ModelLeaf& leaf) {
  return std::holds_alternative<DefaultBound>(leaf.leaf.bound);
}

bool Route(ModelTable& table, const ModelRow& row) {
  ModelLeaf* leaf = table.LeafOf(row);
  if (leaf == nullptr) return false;
  if (leaf->parts) return Route(*leaf->parts, row);
  leaf->rows.push_back(row);
  return true;
}

void DescribeTable(const ModelTable& table, const std::string& indent, std::string& text) {
  std::vector<const ModelLeaf*> leaves;
  for (const ModelLeaf& leaf : table.leaves) leaves.push_back(&leaf);
  std::sort(leaves.begin(), leaves.end(), [](const ModelLeaf* left, const ModelLeaf* right) {
    return BoundClause(left->leaf.bound) < BoundClause(right->leaf.bound);
  });
  for (const ModelLeaf* leaf : leaves) {
    text += indent + leaf->leaf.name.name + " " + BoundClause(leaf->leaf.bound);
    if (!leaf->leaf.tablespace.empty()) text += " in " + leaf->leaf.tablespace;
    text += "\n";
    if (leaf->parts) DescribeTable(*leaf->parts, indent + "  ", text);
  }
}

}  // namespace

std::string Brief(const Plan& plan) {
  std::string text;
  for (const Action& action : plan.actions) {
    text += ActionName(action.kind);
    if (action.created.empty() || action.object.id != 0) text += " " + action.object.name.name;
    for (const NewPartition& created : action.created)
      text += " " + created.name.name + " " + BoundClause(created.bound);
    text += "\n";
  }
  return text;
}

bool HasWork(const Plan& plan) {
  return std::any_of(plan.actions.begin(), plan.actions.end(),
                     [](const Action& action) { return action.DoesSomething(); });
}

bool Holds(const Bound& bound, const ModelRow& row) {
  if (const auto* range = std::get_if<RangeBound>(&bound)) return range->range.Contains(row.at);
  if (const auto* list = std::get_if<ListBound>(&bound))
    return std::find(list->values.begin(), list->values.end(), row.value) != list->values.end();
  if (const auto* hash = std::get_if<HashBound>(&bound))
    return row.hash % hash->modulus == hash->remainder;
  return false;
}

bool AreApart(const Bound& left, const Bound& right) {
  if (left.index() != right.index()) return true;
  if (const auto* range = std::get_if<RangeBound>(&left))
    return !range->range.Overlaps(std::get<RangeBound>(right).range);
  if (const auto* list = std::get_if<ListBound>(&left)) {
    return std::none_of(list->values.begin(), list->values.end(),
                        [&](const ListValue& value) { return Holds(right, {.value = value}); });
  }
  if (const auto* hash = std::get_if<HashBound>(&left)) {
    const auto& other = std::get<HashBound>(right);
    std::uint32_t common = std::gcd(hash->modulus, other.modulus);
    return hash->remainder % common != other.remainder % common;
  }
  return false;  // two default partitions
}

ModelLeaf* ModelTable::LeafOf(const ModelRow& row) {
  for (ModelLeaf& leaf : leaves)
    if (!leaf.leaf.detach_pending && Holds(leaf.leaf.bound, row)) return &leaf;
  return Default();
}

ModelLeaf* ModelTable::Default() {
  auto found = std::find_if(leaves.begin(), leaves.end(), IsDefault);
  return found == leaves.end() ? nullptr : &*found;
}

Model::Model(PartitionPolicy policy, std::string name)
    : policy_(std::make_shared<PartitionPolicy>(std::move(policy))) {
  table_ = {.id = 1, .name = {"public", std::move(name)}, .policy = policy_};
  EXPECT_EQ(CheckPolicy(*policy_), std::nullopt);
  GiveName(table_.name.name);
}

void Model::GiveName(const std::string& name) {
  EXPECT_LE(name.size(), kNameBytes);
  EXPECT_TRUE(names_.insert(name).second) << "two tables with the name " << name;
}

ModelLeaf& Model::Add(ModelTable& table, const std::string& name, Bound bound) {
  ModelLeaf made;
  made.leaf.id = ++last_id_;
  made.leaf.name = {"public", name};
  made.leaf.bound = std::move(bound);
  GiveName(name);
  Attach(table, std::move(made), false);
  return table.leaves.back();
}

bool Model::Insert(const ModelRow& row) { return Route(table_, row); }

PartitionedTable Model::StateOf(const ModelTable& table, bool details) const {
  PartitionedTable state{.id = table.id, .name = table.name, .leaves = {}};
  state.newest_at_last_run = table.newest_at_last_run;
  const auto* rules = std::get_if<RangeRules>(&table.policy->rules);
  bool is_number = rules != nullptr && !rules->calendar.axis().IsTime();
  for (const ModelLeaf& each : table.leaves) {
    std::vector<ModelRow> rows = RowsOf(each);
    Leaf leaf = each.leaf;
    leaf.is_empty = rows.empty();
    leaf.rows = static_cast<std::int64_t>(rows.size());
    if (each.parts) leaf.parts = StateOf(*each.parts, details);
    state.leaves.push_back(leaf);
    if (!IsDefault(each)) {
      if (is_number)
        for (const ModelRow& row : rows)
          state.newest = std::max(row.at, state.newest.value_or(row.at));
      continue;
    }
    if (rules != nullptr) {
      std::map<Point, RowsInDefault> stretches;
      for (const ModelRow& row : rows) {
        std::optional<Range> range = rules->calendar.RangeOf(row.at);
        // Keys out of all ranges are a stretch of their own.
        Point key = row.at;
        if (range) key = range->lower.value_or(INT64_MIN);
        auto [found, is_new] = stretches.try_emplace(key, RowsInDefault{row.at, row.at, 0, 0});
        found->second.first = std::min(found->second.first, row.at);
        found->second.last = std::max(found->second.last, row.at);
        found->second.rows++;
      }
      for (const auto& [key, stretch] : stretches) {
        std::vector<RowsInDefault>& all = state.rows_in_default;
        std::optional<Range> next;
        if (!details && !all.empty()) next = rules->calendar.RangeOf(all.back().last);
        if (next) next = rules->calendar.Next(*next);
        if (next && next->Contains(stretch.first)) {
          all.back().last = stretch.last;
          all.back().rows += stretch.rows;
        } else {
          all.push_back(stretch);
        }
      }
    } else {
      std::map<ListValue, std::int64_t> values;
      for (const ModelRow& row : rows) values[row.value]++;
      for (const auto& [value, count] : values)
        state.values_in_default.push_back({.value = value, .rows = count});
    }
  }
  return state;
}

PartitionState Model::State(bool details) const {
  PartitionState state{
      .table = StateOf(table_, details), .detached = detached, .rewrites = rewrites};
  state.is_taken = [this](const std::string& name) { return names_.count(name) > 0; };
  return state;
}

Plan Model::MakePlan(Point now, bool details) const {
  return PlanMaintenance(*policy_, State(details), now);
}

Plan Model::Run(Point now, bool details) {
  Plan plan = MakePlan(now, details);
  for (const Action& action : plan.actions) Apply(action);
  policy_->last_run = plan.clock;
  for (const NewestKey& newest : plan.newest)
    if (ModelTable* table = Find(table_, newest.table)) table->newest_at_last_run = newest.newest;
  return plan;
}

ModelTable* Model::Find(ModelTable& table, PartitionId id) {
  if (table.id == id) return &table;
  for (ModelLeaf& leaf : table.leaves) {
    if (!leaf.parts) continue;
    if (ModelTable* found = Find(*leaf.parts, id)) return found;
  }
  return nullptr;
}

ModelLeaf Model::Made(const ModelTable& parent, const NewPartition& created) {
  ModelLeaf made;
  made.leaf.id = ++last_id_;
  made.leaf.name = created.name;
  made.leaf.bound = created.bound;
  made.leaf.tablespace = created.tablespace;
  GiveName(created.name.name);
  bool is_default = std::holds_alternative<DefaultBound>(created.bound);
  EXPECT_EQ(created.below != nullptr, parent.policy->below != nullptr && !is_default);
  if (created.below) {
    made.parts = std::make_shared<ModelTable>(
        ModelTable{.id = made.leaf.id, .name = created.name, .policy = created.below});
    for (const NewPartition& part : created.parts)
      Attach(*made.parts, Made(*made.parts, part), false);
  }
  return made;
}

void Model::Attach(ModelTable& parent, ModelLeaf leaf, bool drains) {
  for (const ModelLeaf& other : parent.leaves)
    EXPECT_TRUE(AreApart(leaf.leaf.bound, other.leaf.bound))
        << BoundClause(leaf.leaf.bound) << " overlaps " << BoundClause(other.leaf.bound);
  if (const auto* range = std::get_if<RangeBound>(&leaf.leaf.bound)) {
    EXPECT_FALSE(range->range.IsEmpty());
  }
  if (const auto* hash = std::get_if<HashBound>(&leaf.leaf.bound)) {
    for (const ModelLeaf& other : parent.leaves) {
      std::uint32_t modulus = std::get<HashBound>(other.leaf.bound).modulus;
      EXPECT_TRUE(hash->modulus % modulus == 0 || modulus % hash->modulus == 0);
    }
  }
  std::vector<ModelRow> moved;
  if (ModelLeaf* rest = parent.Default()) {
    auto belongs = [&](const ModelRow& row) { return Holds(leaf.leaf.bound, row); };
    std::copy_if(rest->rows.begin(), rest->rows.end(), std::back_inserter(moved), belongs);
    EXPECT_TRUE(drains || moved.empty())
        << "rows of the default partition belong to " << leaf.leaf.name.name;
    std::erase_if(rest->rows, belongs);
  }
  parent.leaves.push_back(std::move(leaf));
  for (const ModelRow& row : moved) EXPECT_TRUE(Route(parent, row));
}

ModelLeaf Model::TakeOut(ModelTable& parent, const TableRef& object) {
  auto found = std::find_if(parent.leaves.begin(), parent.leaves.end(), [&](const ModelLeaf& leaf) {
    return leaf.leaf.id == object.id && leaf.leaf.name == object.name;
  });
  if (found == parent.leaves.end()) {
    ADD_FAILURE() << "no partition " << object.name.name;
    return {};
  }
  ModelLeaf leaf = std::move(*found);
  parent.leaves.erase(found);
  return leaf;
}

void Model::Forget(const ModelLeaf& leaf) {
  names_.erase(leaf.leaf.name.name);
  if (!leaf.parts) return;
  for (const ModelLeaf& part : leaf.parts->leaves) Forget(part);
}

void Model::Apply(const Action& action) {
  EXPECT_FALSE(action.reason.empty());
  EXPECT_EQ(action.lock.empty(), !action.DoesSomething()) << action.reason;
  if (!action.DoesSomething()) return;
  ModelTable* parent = Find(table_, action.parent.id);
  ASSERT_NE(parent, nullptr) << ActionName(action.kind) << " under " << action.parent.name.name;
  switch (action.kind) {
    case ActionKind::kCreate:
    case ActionKind::kDrain:
      for (const NewPartition& created : action.created)
        Attach(*parent, Made(*parent, created), action.kind == ActionKind::kDrain);
      break;
    case ActionKind::kReplace: {
      for (const TableRef& replaced : action.replaced) {
        ModelLeaf leaf = TakeOut(*parent, replaced);
        EXPECT_TRUE(RowsOf(leaf).empty()) << "rows in " << replaced.name.name;
        Forget(leaf);
      }
      for (const NewPartition& created : action.created)
        Attach(*parent, Made(*parent, created), false);
      break;
    }
    case ActionKind::kSplit: {
      ModelLeaf source = TakeOut(*parent, action.object);
      for (const NewPartition& created : action.created) {
        ModelLeaf made = Made(*parent, created);
        if (source.parts) {
          made.parts->leaves.clear();
          for (const ModelLeaf& part : source.parts->leaves) {
            ModelLeaf copy = part;
            copy.leaf.id = ++last_id_;
            copy.leaf.name.name = "copy_" + std::to_string(copy.leaf.id);
            copy.rows.clear();
            GiveName(copy.leaf.name.name);
            EXPECT_EQ(copy.parts, nullptr);
            made.parts->leaves.push_back(std::move(copy));
          }
        }
        Attach(*parent, std::move(made), false);
      }
      for (const ModelRow& row : RowsOf(source)) EXPECT_TRUE(Route(*parent, row));
      Forget(source);
      break;
    }
    case ActionKind::kMoveInPlace:
    case ActionKind::kMoveByRewrite: {
      ModelLeaf leaf = TakeOut(*parent, action.object);
      leaf.leaf.tablespace = action.tablespace;
      parent->leaves.push_back(std::move(leaf));
      break;
    }
    case ActionKind::kFinishDetach:
    case ActionKind::kDetach: {
      EXPECT_FALSE(action.concurrently && parent->Default() != nullptr);
      ModelLeaf leaf = TakeOut(*parent, action.object);
      std::vector<ModelRow> rows = RowsOf(leaf);
      expired_.insert(expired_.end(), rows.begin(), rows.end());
      DetachedTable table{
          .id = leaf.leaf.id, .name = leaf.leaf.name, .on_expiry = OnExpiry::kDetach};
      detached.push_back(table);
      break;
    }
    case ActionKind::kDrop:
    case ActionKind::kMoveToSchema: {
      std::size_t before = detached.size();
      std::erase_if(detached,
                    [&](const DetachedTable& table) { return table.id == action.object.id; });
      EXPECT_EQ(detached.size() + 1, before) << action.object.name.name << " is not detached";
      names_.erase(action.object.name.name);
      break;
    }
    case ActionKind::kResumeRewrite: {
      auto found = std::find_if(rewrites.begin(), rewrites.end(),
                                [&](const auto& rewrite) { return rewrite.id == action.rewrite; });
      ASSERT_NE(found, rewrites.end());
      for (const Bound& target : found->targets) {
        ModelLeaf made;
        made.leaf.id = ++last_id_;
        made.leaf.name = {"public", "rewritten_" + std::to_string(last_id_)};
        made.leaf.bound = target;
        GiveName(made.leaf.name.name);
        Attach(*parent, std::move(made), true);
      }
      rewrites.erase(found);
      break;
    }
    case ActionKind::kGuard:
    case ActionKind::kNotice:
    case ActionKind::kBlocked:
      break;
  }
}

std::vector<ModelRow> Model::Rows() const {
  std::vector<ModelRow> rows;
  for (const ModelLeaf& leaf : table_.leaves) CollectRows(leaf, rows);
  return rows;
}

std::string Model::Describe() const {
  std::string text;
  DescribeTable(table_, "", text);
  return text;
}

}  // namespace teamscale::core

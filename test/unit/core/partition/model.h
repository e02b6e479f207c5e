// A model of a database with one partitioned table, on which plans are carried out: it has rows,
// routes them as PostgreSQL does, and complains where PostgreSQL would refuse an action.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "teamscale/core/partition/plan.h"

namespace teamscale::core {

// The columns are named at, value and hash; each policy is by one of them.
struct ModelRow {
  Point at = 0;
  ListValue value = {};
  std::uint32_t hash = 0;

  bool operator==(const ModelRow&) const = default;
};

struct ModelTable;

struct ModelLeaf {
  Leaf leaf = {};
  std::vector<ModelRow> rows = {};
  std::shared_ptr<ModelTable> parts = {};
};

struct ModelTable {
  PartitionId id = 0;
  TableName name = {};
  std::shared_ptr<const PartitionPolicy> policy = {};
  std::vector<ModelLeaf> leaves = {};
  std::optional<Point> newest_at_last_run = {};

  // Where a row goes: the leaf of its key, else the default partition, else null.
  ModelLeaf* LeafOf(const ModelRow& row);
  ModelLeaf* Default();
};

class Model {
 public:
  explicit Model(PartitionPolicy policy, std::string name = "t");

  PartitionPolicy& policy() { return *policy_; }
  ModelTable& table() { return table_; }

  // Attaches what somebody made by hand.
  ModelLeaf& Add(ModelTable& table, const std::string& name, Bound bound);
  ModelLeaf& Add(const std::string& name, Bound bound) { return Add(table_, name, bound); }
  // False when no partition takes the row.
  bool Insert(const ModelRow& row);

  // What an adapter would tell the planner. Without details, rows of the default partition in
  // ranges that follow each other are one stretch.
  PartitionState State(bool details = true) const;
  Plan MakePlan(Point now, bool details = true) const;
  // Makes a plan, carries all of it out, and records the clock.
  Plan Run(Point now, bool details = true);
  void Apply(const Action& action);

  // Rows in the table, in the default partition of it, and in what expired.
  std::vector<ModelRow> Rows() const;
  const std::vector<ModelRow>& expired() const { return expired_; }
  // All leaves as "name bound tablespace", in order.
  std::string Describe() const;
  const std::set<std::string>& names() const { return names_; }

  // To be finished by the next plan.
  std::vector<UnfinishedRewrite> rewrites;
  std::vector<DetachedTable> detached;

 private:
  PartitionedTable StateOf(const ModelTable& table, bool details) const;
  ModelTable* Find(ModelTable& table, PartitionId id);
  ModelLeaf Made(const ModelTable& parent, const NewPartition& created);
  void Attach(ModelTable& parent, ModelLeaf leaf, bool drains);
  ModelLeaf TakeOut(ModelTable& parent, const TableRef& object);
  void GiveName(const std::string& name);
  void Forget(const ModelLeaf& leaf);

  std::shared_ptr<PartitionPolicy> policy_;
  ModelTable table_;
  PartitionId last_id_ = 100;
  std::set<std::string> names_;
  std::vector<ModelRow> expired_;
};

// The plan in short: "create t_2024_01 FOR VALUES ..." for each action.
std::string Brief(const Plan& plan);
bool HasWork(const Plan& plan);

// Whether a bound holds a row's key; the default bound holds none.
bool Holds(const Bound& bound, const ModelRow& row);
// Whether no row could be in both.
bool AreApart(const Bound& left, const Bound& right);

}  // namespace teamscale::core

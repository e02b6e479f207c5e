// What the owner of a table asked for: into which partitions it is divided, how many are made ahead
// (*premake*), what becomes of old ones (*retention*, *expiry*), and where they are stored by age.
//
// A policy may have another *below* it: each partition of the first is then a partitioned table of
// its own, by another column or in another way.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "teamscale/core/partition/bound.h"
#include "teamscale/core/partition/partition_calendar.h"
#include "teamscale/core/partition/partition_name.h"
#include "teamscale/core/partition/problem.h"
#include "teamscale/core/partition/quote.h"

namespace teamscale::core {

// How old: by the calendar, or by so many whole ranges. An age of zero is that of every row.
using Age = std::variant<Interval, std::int64_t>;
bool IsZero(const Age& age);

enum class OnExpiry { kDrop, kDetach, kMove };

struct Retention {
  Age age = {};
  OnExpiry on_expiry = OnExpiry::kDrop;
  std::string schema = {};  // where kMove moves to
};

// From this age on, leaves are in this tablespace.
struct TablespaceRule {
  Age age = {};
  std::string tablespace = {};
};

struct RangeRules {
  PartitionCalendar calendar;
  // Ranges that are there ahead of the one of now.
  std::int64_t premake = 4;
  // Where a table without partitions begins; at now without.
  std::optional<Point> start_at = {};
  std::optional<Retention> retention = {};
};

struct ListRules {
  // Without sets each value that turns up gets a partition of its own. Values are written as their
  // type prints them.
  std::vector<ListBound> sets = {};
  // No more partitions than this are made of values that turn up; further ones stay in the default.
  std::int64_t most_values = 1000;
};

struct HashRules {
  std::uint32_t modulus = 1;
};

// The column by which rows are divided. A collation is needed where the partition key has another
// than the column.
struct PartitionKey {
  std::string column;
  std::optional<TableName> collation = {};
};

struct PartitionPolicy {
  PartitionKey key;
  std::variant<RangeRules, ListRules, HashRules> rules;
  std::string name_template = std::string(kDefaultNameTemplate);
  // Whether there shall be a partition for rows of no other; never under hash.
  bool default_partition = true;
  // By age, ascending; a rule that is of no age serves lists and hashes too.
  std::vector<TablespaceRule> tablespaces = {};
  // Leaves up to this size are moved under a lock, larger ones copied while they are in use.
  std::int64_t move_in_place_bytes = 0;
  std::shared_ptr<const PartitionPolicy> below = {};
  // The instant of the last run's clock; nothing before the first run. Of the upper policy only.
  std::optional<Point> last_run = {};

  PolicyKind kind() const { return static_cast<PolicyKind>(rules.index()); }
};

// What a policy cannot be: a premake or a modulus out of range, a retention that is shorter than
// the interval, ages in no order, a value in two sets. Those below are looked at too.
std::optional<Problem> CheckPolicy(const PartitionPolicy& policy);

}  // namespace teamscale::core

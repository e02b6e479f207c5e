// What is there: a table's partitions as the catalog has them, and what else a plan depends on.
//
// A *leaf* here is a partition of the table, or of a partition that is partitioned itself. What is
// estimated (rows, bytes) is shown and weighed, never relied on; what is relied on says so.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "teamscale/core/partition/bound.h"
#include "teamscale/core/partition/policy.h"
#include "teamscale/core/partition/quote.h"

namespace teamscale::core {

// The server's OID of a table; 0 of one that is not made yet.
using PartitionId = std::uint32_t;

// Rows in the default partition whose keys are from first to last, both included: one for each
// range of the calendar that has rows there. All rows are in one of these: a range that meets none
// of them is taken to have no row in the default partition.
struct RowsInDefault {
  Point first = 0;
  Point last = 0;
  std::int64_t rows = 0;
  std::int64_t bytes = 0;
};

struct ValueInDefault {
  ListValue value = {};
  std::int64_t rows = 0;
  std::int64_t bytes = 0;
};

struct Leaf;

struct PartitionedTable {
  PartitionId id = 0;
  TableName name = {};
  std::vector<Leaf> leaves;  // the default partition among them
  std::vector<RowsInDefault> rows_in_default = {};
  std::vector<ValueInDefault> values_in_default = {};
  // Where keys are numbers: the greatest key in any partition but the default one; and what the
  // plan of the last run recorded. The newest key stands for the clock.
  std::optional<Point> newest = {};
  std::optional<Point> newest_at_last_run = {};
};

struct Leaf {
  PartitionId id = 0;
  TableName name = {};
  Bound bound = {};
  std::string tablespace = {};  // by its name, the database's own too
  bool detach_pending = false;  // an interrupted DETACH CONCURRENTLY
  bool is_foreign = false;
  bool is_referenced = false;  // by a foreign key of its own
  bool is_published = false;   // by its own name
  // A look found no row. Whoever acts on it looks again under the lock.
  bool is_empty = false;
  std::int64_t rows = 0;
  std::int64_t bytes = 0;
  // When it is partitioned itself, by the column and in the way of the policy below.
  std::optional<PartitionedTable> parts = {};
};

// A table that an earlier run detached and has yet to drop or move.
struct DetachedTable {
  PartitionId id = 0;
  TableName name = {};
  OnExpiry on_expiry = OnExpiry::kDrop;
  std::string schema = {};
  bool is_foreign = false;
  bool is_referenced = false;
  std::int64_t rows = 0;
  std::int64_t bytes = 0;
};

// A rewrite that is under way, or was interrupted and will be resumed: its targets count as made,
// its sources are left alone.
struct UnfinishedRewrite {
  std::int64_t id = 0;
  std::string operation = {};  // as people call it
  PartitionId parent = 0;
  TableName parent_name = {};
  std::vector<PartitionId> sources = {};
  std::vector<Bound> targets = {};
  bool is_running = false;
  std::int64_t rows = 0;
  std::int64_t bytes = 0;
};

struct PartitionState {
  PartitionedTable table = {};
  std::vector<DetachedTable> detached = {};
  std::vector<UnfinishedRewrite> rewrites = {};
  // Whether the schema in which partitions are made has something of that name.
  std::function<bool(const std::string&)> is_taken = [](const std::string&) { return false; };
};

}  // namespace teamscale::core

#include "teamscale/postgres/partition/table_state.h"

#include <algorithm>
#include <map>

#include "teamscale/postgres/boundary/extension_owner.h"
#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/partition/bounds.h"
#include "teamscale/postgres/partition/found_partitions.h"
#include "teamscale/postgres/partition/found_rewrites.h"
#include "teamscale/postgres/partition/key_look.h"

extern "C" {
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace teamscale {

namespace {

constexpr char kTables[] =
    "SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class AS c"
    "      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = ANY ($1)";

// Detached by an earlier run, and still there.
constexpr char kDetached[] =
    "SELECT e.relation::oid, c.oid, n.nspname, c.relname, e.on_expiry, coalesce(e.move_to, ''),"
    "       c.relkind = 'f', EXISTS (SELECT FROM pg_catalog.pg_constraint AS k"
    "                                WHERE k.confrelid = c.oid AND k.contype = 'f'),"
    "       greatest(c.reltuples, 0)::bigint,"
    "       c.relpages * pg_catalog.current_setting('block_size')::bigint"
    " FROM teamscale_internal.expired_partition AS e"
    "      JOIN pg_catalog.pg_class AS c ON c.oid = e.partition"
    "      JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE e.relation = ANY ($1::regclass[]) AND NOT c.relispartition";

using Row = const char* const*;
using Found = std::multimap<Oid, const FoundPartition*>;

Found FindChildren(const std::vector<Oid>& parents) {
  const List* oids = CallPostgres([&] { return OidList(parents.data(), parents.size()); });
  const List* partitions = CallPostgres([=] { return FindPartitions(oids); });
  Found found;
  for (int i = 0; i < list_length(partitions); ++i) {
    auto* partition = static_cast<const FoundPartition*>(list_nth(partitions, i));
    found.emplace(partition->parent, partition);
  }
  return found;
}

core::OnExpiry OnExpiryOf(const std::string& text) {
  if (text == "detach") return core::OnExpiry::kDetach;
  return text == "move" ? core::OnExpiry::kMove : core::OnExpiry::kDrop;
}

core::Leaf LeafOf(const FoundPartition& found, const std::optional<RangeKey>& key) {
  const PartitionBoundSpec* spec = found.bound;
  const List* texts = CallPostgres([=] { return BoundTexts(spec); });
  return {.id = found.id,
          .name = {.schema = found.schema, .name = found.name},
          .bound = BoundOf(spec, texts, key ? &*key : nullptr),
          .tablespace = found.tablespace,
          .detach_pending = found.detach_pending,
          .is_foreign = found.kind == RELKIND_FOREIGN_TABLE,
          .is_referenced = found.referenced,
          .is_published = found.published,
          .rows = static_cast<std::int64_t>(found.rows),
          .bytes = static_cast<std::int64_t>(found.bytes)};
}

const core::RangeRules* RangesOf(const core::PartitionPolicy& policy) {
  return std::get_if<core::RangeRules>(&policy.rules);
}

// Where the interval was changed, premade leaves may have an old width: those that are empty are
// replaced.
void LookForEmptyLeaves(const core::RangeRules& rules, core::PartitionedTable* table) {
  if (rules.calendar.segments().size() < 2) return;
  for (core::Leaf& leaf : table->leaves) {
    auto* bound = std::get_if<core::RangeBound>(&leaf.bound);
    if (!bound || leaf.is_foreign || !bound->range.lower) continue;
    std::optional<core::Range> range = rules.calendar.RangeOf(*bound->range.lower);
    if (range && *range != bound->range) leaf.is_empty = !HasRows(leaf.name);
  }
}

void LookIntoDefault(const core::PartitionPolicy& policy, const std::optional<RangeKey>& key,
                     core::PartitionedTable* table) {
  for (const core::Leaf& leaf : table->leaves) {
    if (!std::holds_alternative<core::DefaultBound>(leaf.bound) || leaf.is_foreign) continue;
    if (auto* rules = RangesOf(policy))
      table->rows_in_default = RangesWithRows(leaf.name, policy.key.column, *key, rules->calendar,
                                              leaf.rows, leaf.bytes);
    else if (auto* lists = std::get_if<core::ListRules>(&policy.rules))
      table->values_in_default =
          ValuesWithRows(leaf.name, policy.key.column, lists->most_values + 1);
  }
}

// From the highest range down: the first that has rows has the newest.
std::optional<core::Point> NewestNumber(const core::PartitionPolicy& policy, const RangeKey& key,
                                        const core::PartitionedTable& table) {
  std::vector<const core::Leaf*> leaves;
  for (const core::Leaf& leaf : table.leaves)
    if (std::holds_alternative<core::RangeBound>(leaf.bound)) leaves.push_back(&leaf);
  auto lower = [](const core::Leaf* leaf) {
    return std::get<core::RangeBound>(leaf->bound).range.lower;
  };
  std::sort(leaves.begin(), leaves.end(),
            [&](const auto* a, const auto* b) { return lower(a) > lower(b); });
  for (const core::Leaf* leaf : leaves)
    if (auto newest = GreatestKey(leaf->name, policy.key.column, key)) return newest;
  return std::nullopt;
}

void Look(const core::PartitionPolicy& policy, const std::optional<RangeKey>& key,
          const std::map<Oid, core::Point>& newest, core::PartitionedTable* table) {
  LookIntoDefault(policy, key, table);
  auto* rules = RangesOf(policy);
  if (!rules) return;
  LookForEmptyLeaves(*rules, table);
  if (rules->calendar.axis().IsTime()) return;
  table->newest = NewestNumber(policy, *key, *table);
  if (auto known = newest.find(table->id); known != newest.end())
    table->newest_at_last_run = known->second;
}

// The names that partitions of the table cannot have: those of tables and of types of its schema.
std::function<bool(const std::string&)> TakenIn(const std::string& schema) {
  return [schema](const std::string& name) {
    const char* s = schema.c_str();
    const char* n = name.c_str();
    return CallPostgres([=] {
      Oid space = get_namespace_oid(s, true);
      return OidIsValid(get_relname_relid(n, space)) ||
             SearchSysCacheExists2(TYPENAMENSP, CStringGetDatum(n), ObjectIdGetDatum(space));
    });
  };
}

core::DetachedTable DetachedOf(Row row) {
  return {.id = static_cast<Oid>(std::stoul(row[1])),
          .name = {.schema = row[2], .name = row[3]},
          .on_expiry = OnExpiryOf(row[4]),
          .schema = row[5],
          .is_foreign = *row[6] == 't',
          .is_referenced = *row[7] == 't',
          .rows = std::stoll(row[8]),
          .bytes = std::stoll(row[9])};
}

// The key is the rewritten table's. What is left in a default partition is no target to reckon
// with.
core::UnfinishedRewrite RewriteOf(const FoundRewrite& found, const std::optional<RangeKey>& key) {
  core::UnfinishedRewrite rewrite{.id = found.id,
                                  .operation = found.operation,
                                  .parent = found.table,
                                  .parent_name = {.schema = found.schema, .name = found.name},
                                  .is_running = found.is_running,
                                  .rows = static_cast<std::int64_t>(found.rows),
                                  .bytes = static_cast<std::int64_t>(found.bytes)};
  for (int i = 0; i < list_length(found.sources); ++i)
    rewrite.sources.push_back(list_nth_oid(found.sources, i));
  for (int i = 0; i < list_length(found.targets); ++i) {
    core::Leaf target = LeafOf(*static_cast<FoundPartition*>(list_nth(found.targets, i)), key);
    if (!std::holds_alternative<core::DefaultBound>(target.bound))
      rewrite.targets.push_back(std::move(target.bound));
  }
  return rewrite;
}

// By the table that is rewritten.
using Rewrites = std::map<Oid, const FoundRewrite*>;

Rewrites RewritesOf(std::vector<Oid> tables, const std::vector<Oid>& partitioned) {
  tables.insert(tables.end(), partitioned.begin(), partitioned.end());
  const List* found =
      CallPostgres([&] { return FindRewrites(OidList(tables.data(), tables.size())); });
  Rewrites rewrites;
  for (int i = 0; i < list_length(found); ++i) {
    auto* rewrite = static_cast<const FoundRewrite*>(list_nth(found, i));
    rewrites.emplace(rewrite->table, rewrite);
  }
  return rewrites;
}

void AddRewrite(const Rewrites& rewrites, Oid table, const std::optional<RangeKey>& key,
                core::PartitionState* state) {
  if (auto found = rewrites.find(table); found != rewrites.end())
    state->rewrites.push_back(RewriteOf(*found->second, key));
}

}  // namespace

std::vector<core::PartitionState> ReadStates(const std::vector<StoredPolicy>& policies) {
  std::vector<Oid> tables;
  for (const StoredPolicy& policy : policies) tables.push_back(policy.table);
  Found children = FindChildren(tables);
  std::vector<Oid> partitioned;
  for (const auto& [parent, child] : children)
    if (child->kind == RELKIND_PARTITIONED_TABLE) partitioned.push_back(child->id);
  Found grandchildren = FindChildren(partitioned);
  Rewrites rewrites = RewritesOf(tables, partitioned);

  const List* oids = CallPostgres([&] { return OidList(tables.data(), tables.size()); });
  std::map<Oid, core::TableName> names;
  const List* rows = CallPostgres([=] { return ReadTextRows(kTables, oids); });
  for (int i = 0; i < list_length(rows); ++i) {
    auto row = static_cast<Row>(list_nth(rows, i));
    names[static_cast<Oid>(std::stoul(row[0]))] = {.schema = row[1], .name = row[2]};
  }
  const List* detached = CallPostgres([=] { return ReadTextRows(kDetached, oids); });

  std::vector<core::PartitionState> states;
  for (const StoredPolicy& stored : policies) {
    core::PartitionState state;
    state.table = {.id = stored.table, .name = names[stored.table], .leaves = {}};
    state.is_taken = TakenIn(state.table.name.schema);
    AddRewrite(rewrites, stored.table, stored.key, &state);
    auto [begin, end] = children.equal_range(stored.table);
    for (auto child = begin; child != end; ++child) {
      core::Leaf leaf = LeafOf(*child->second, stored.key);
      if (child->second->kind == RELKIND_PARTITIONED_TABLE && stored.policy->below) {
        leaf.parts = core::PartitionedTable{.id = leaf.id, .name = leaf.name, .leaves = {}};
        auto [first, last] = grandchildren.equal_range(leaf.id);
        for (auto part = first; part != last; ++part)
          leaf.parts->leaves.push_back(LeafOf(*part->second, stored.key_below));
        Look(*stored.policy->below, stored.key_below, stored.newest, &*leaf.parts);
        AddRewrite(rewrites, leaf.id, stored.key_below, &state);
      }
      state.table.leaves.push_back(std::move(leaf));
    }
    Look(*stored.policy, stored.key, stored.newest, &state.table);
    for (int i = 0; i < list_length(detached); ++i) {
      auto row = static_cast<Row>(list_nth(detached, i));
      if (std::stoul(row[0]) == stored.table) state.detached.push_back(DetachedOf(row));
    }
    states.push_back(std::move(state));
  }
  return states;
}

}  // namespace teamscale

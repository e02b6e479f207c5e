#include "teamscale/postgres/partition/stored_policy.h"

#include <algorithm>

#include "teamscale/postgres/boundary/extension_owner.h"
#include "teamscale/postgres/boundary/guard.h"
#include "teamscale/postgres/partition/calendar.h"

extern "C" {
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
}

namespace teamscale {

namespace {

int move_in_place_limit = 65536;

// One row for each level of a policy, the upper first. Points are as canonical_point() writes them.
constexpr char kLevels[] =
    "SELECT p.relation::oid, p.level, p.key, p.kind, coalesce(p.epoch, ''), p.time_zone, p.premake,"
    "       p.modulus, p.name_template, p.default_partition,"
    "       coalesce(p.retain, ''), p.on_expiry, coalesce(p.move_to, ''),"
    "       coalesce(p.before_drop::text, ''), k.collation_schema, k.collation_name,"
    "       extract(epoch FROM m.clock) * 1000000"
    " FROM teamscale_internal.partition_policy AS p"
    "      JOIN pg_catalog.pg_class AS c ON c.oid = p.relation"
    "      LEFT JOIN teamscale_internal.partition_maintenance AS m ON m.relation = p.relation"
    "      LEFT JOIN LATERAL ("
    "          SELECT n.nspname AS collation_schema, o.collname AS collation_name"
    "          FROM pg_catalog.pg_partitioned_table AS t"
    "               JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.partrelid AND a.attnum = "
    "p.key"
    "               JOIN pg_catalog.pg_collation AS o ON o.oid = t.partcollation[0]"
    "               JOIN pg_catalog.pg_namespace AS n ON n.oid = o.collnamespace"
    "          WHERE t.partrelid = p.relation AND p.level = 1 AND o.oid <> a.attcollation) AS k ON "
    "true"
    " WHERE p.relation = ANY ($1::regclass[]) ORDER BY p.relation, p.level";
enum LevelColumn {
  kTable,
  kLevel,
  kKey,
  kKind,
  kEpoch,
  kZone,
  kPremake,
  kModulus,
  kNameTemplate,
  kDefaultPartition,
  kRetain,
  kOnExpiry,
  kMoveTo,
  kBeforeDrop,
  kCollationSchema,
  kCollationName,
  kClock
};

constexpr char kSteps[] =
    "SELECT s.relation::oid, s.level, s.from_bound, s.every FROM teamscale_internal.partition_step "
    "AS s"
    " WHERE s.relation = ANY ($1::regclass[])";
enum StepColumn { kStepTable, kStepLevel, kStepFrom, kStepEvery };

constexpr char kTablespaces[] =
    "SELECT p.relation::oid, p.level, t.key, t.value FROM teamscale_internal.partition_policy AS p"
    "      CROSS JOIN LATERAL pg_catalog.jsonb_each_text(p.tablespaces) AS t"
    " WHERE p.relation = ANY ($1::regclass[])";
enum TablespaceColumn { kTablespaceTable, kTablespaceLevel, kTablespaceAge, kTablespaceName };

// A value of a set by its place; place counts the sets.
constexpr char kValues[] =
    "SELECT p.relation::oid, p.level, s.place, v.value FROM teamscale_internal.partition_policy AS "
    "p"
    "      CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(p.\"values\") WITH ORDINALITY AS s "
    "(set, place)"
    "      CROSS JOIN LATERAL pg_catalog.jsonb_array_elements_text("
    "          CASE pg_catalog.jsonb_typeof(s.set) WHEN 'array' THEN s.set"
    "          ELSE pg_catalog.jsonb_build_array(s.set) END) AS v (value)"
    " WHERE p.relation = ANY ($1::regclass[]) ORDER BY 1, 2, 3";
enum ValueColumn { kValueTable, kValueLevel, kValuePlace, kValueText };

constexpr char kNewest[] =
    "SELECT m.relation::oid, n.key, n.value FROM teamscale_internal.partition_maintenance AS m"
    "      CROSS JOIN LATERAL pg_catalog.jsonb_each_text(m.newest) AS n"
    " WHERE m.relation = ANY ($1::regclass[])";
enum NewestColumn { kNewestOf, kNewestTable, kNewestPoint };

using Row = const char* const*;

std::vector<Row> Read(const char* sql, const List* tables) {
  const List* rows = CallPostgres([=] { return ReadTextRows(sql, tables); });
  std::vector<Row> result;
  for (int i = 0; i < list_length(rows); ++i) result.push_back(static_cast<Row>(list_nth(rows, i)));
  return result;
}

// The parts of a policy that are several rows, of one level.
struct LevelRows {
  std::vector<Row> steps;
  std::vector<Row> tablespaces;
  std::vector<Row> values;
};
using LevelId = std::pair<std::string, std::string>;  // table and level

bool IsNumber(const std::string& text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](unsigned char c) { return c >= '0' && c <= '9'; });
}

core::Interval ParseInterval(const std::string& text) {
  const char* c = text.c_str();
  const Interval* interval = CallPostgres([c] {
    return DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(c),
                                                 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
  });
  return CoreInterval(*interval);
}

std::int64_t ParseNumber(const std::string& text) {
  const char* c = text.c_str();
  return CallPostgres(
      [c] { return DatumGetInt64(DirectFunctionCall1(int8in, CStringGetDatum(c))); });
}

core::Age ParseAge(const std::string& text) {
  if (IsNumber(text)) return ParseNumber(text);
  return ParseInterval(text);
}

// What canonical_point() wrote: a number, a timestamp, or a timestamp in UTC.
core::Point ParsePoint(const core::KeyAxis& axis, const std::string& text) {
  if (!axis.IsTime()) return ParseNumber(text);
  const char* c = text.c_str();
  PGFunction input = axis.IsCivil() ? timestamp_in : timestamptz_in;
  return PointOfInstant(CallPostgres([=] {
    return DatumGetTimestamp(DirectFunctionCall3(input, CStringGetDatum(c),
                                                 ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
  }));
}

core::Step ParseStep(const core::KeyAxis& axis, const char* every) {
  if (!every)
    throw InvalidParameter({.message = "range partitions need a width",
                            .hint = "Give every, such as '1 month' or '1000000'."});
  auto step = axis.IsTime() ? core::StepOfInterval(axis, ParseInterval(every))
                            : core::StepOfNumber(axis, ParseNumber(every));
  if (auto* problem = std::get_if<core::Problem>(&step)) throw InvalidParameter(*problem);
  return std::get<core::Step>(step);
}

core::PartitionCalendar ReadCalendar(const core::KeyAxis& axis, Row level, const LevelRows& rows) {
  std::vector<core::Segment> segments;
  for (Row step : rows.steps) {
    std::optional<core::Point> from;
    if (step[kStepFrom]) from = ParsePoint(axis, step[kStepFrom]);
    segments.push_back({.from = from, .step = ParseStep(axis, step[kStepEvery])});
  }
  std::sort(segments.begin(), segments.end(),
            [](const auto& a, const auto& b) { return a.from < b.from; });
  if (auto problem = core::CheckSegments(axis, segments)) throw InvalidParameter(*problem);
  return {axis, RequireZone(level[kZone]), std::move(segments)};
}

std::optional<core::Retention> ReadRetention(Row level) {
  if (!*level[kRetain]) return std::nullopt;
  core::Retention retention{.age = ParseAge(level[kRetain]), .schema = level[kMoveTo]};
  std::string on_expiry = level[kOnExpiry];
  if (on_expiry == "detach") retention.on_expiry = core::OnExpiry::kDetach;
  if (on_expiry == "move") retention.on_expiry = core::OnExpiry::kMove;
  return retention;
}

// As the column's type prints them, so that they compare with the bounds that the catalog has.
core::ListRules ReadLists(const KeyColumn& column, const LevelRows& rows) {
  core::ListRules rules;
  std::string place;
  for (Row row : rows.values) {
    if (rules.sets.empty() || place != row[kValuePlace]) rules.sets.emplace_back();
    place = row[kValuePlace];
    const char* text = row[kValueText];
    Oid type = column.type;
    const char* value = !text ? nullptr : CallPostgres([=] {
      Oid input, output, parameter;
      bool is_varlena;
      getTypeInputInfo(type, &input, &parameter);
      getTypeOutputInfo(type, &output, &is_varlena);
      Datum parsed = OidInputFunctionCall(input, const_cast<char*>(text), parameter, -1);
      return const_cast<const char*>(OidOutputFunctionCall(output, parsed));
    });
    rules.sets.back().values.push_back(value ? core::ListValue(value) : std::nullopt);
  }
  return rules;
}

core::HashRules ReadHash(Row level) {
  if (!level[kModulus])
    throw InvalidParameter({.message = "hash partitions need a modulus",
                            .hint = "Give modulus, the number of partitions."});
  return {.modulus = static_cast<std::uint32_t>(std::max(0L, std::stol(level[kModulus])))};
}

// Ages in order: as long as months of 30 days are, and counts of ranges.
bool IsYounger(const core::TablespaceRule& a, const core::TablespaceRule& b) {
  auto length = [](const core::Age& age) -> std::pair<std::size_t, double> {
    if (auto* count = std::get_if<std::int64_t>(&age)) return {1, static_cast<double>(*count)};
    auto& interval = std::get<core::Interval>(age);
    double days = static_cast<double>(interval.months) * 30 + static_cast<double>(interval.days);
    return {0, days * 86400e6 + static_cast<double>(interval.microseconds)};
  };
  return length(a.age) < length(b.age);
}

struct Level {
  core::PartitionPolicy policy;
  std::optional<RangeKey> key;
};

Level ReadLevel(Row row, const LevelRows& rows) {
  Oid table = OidOfText(row[kTable]);
  auto number = static_cast<AttrNumber>(std::stoi(row[kKey]));
  KeyColumn column = CallPostgres([=] { return ReadKeyColumn(table, number); });
  std::string kind = row[kKind];
  std::optional<RangeKey> key;
  auto rules = [&]() -> decltype(core::PartitionPolicy::rules) {
    if (kind == "hash") return ReadHash(row);
    if (kind == "list") return ReadLists(column, rows);
    auto found = RangeKeyOf(column, row[kEpoch]);
    if (auto* problem = std::get_if<core::Problem>(&found)) throw InvalidParameter(*problem);
    key = std::get<RangeKey>(found);
    return core::RangeRules{.calendar = ReadCalendar(key->axis, row, rows),
                            .premake = std::stoll(row[kPremake]),
                            .retention = ReadRetention(row)};
  }();
  core::PartitionPolicy policy{.key = {.column = column.name}, .rules = std::move(rules)};
  if (row[kCollationName])
    policy.key.collation = {.schema = row[kCollationSchema], .name = row[kCollationName]};
  policy.name_template = row[kNameTemplate];
  policy.move_in_place_bytes = MoveInPlaceLimit();
  policy.default_partition = *row[kDefaultPartition] == 't';
  for (Row tablespace : rows.tablespaces)
    policy.tablespaces.push_back(
        {.age = ParseAge(tablespace[kTablespaceAge]), .tablespace = tablespace[kTablespaceName]});
  std::sort(policy.tablespaces.begin(), policy.tablespaces.end(), IsYounger);
  if (row[kClock]) policy.last_run = static_cast<core::Point>(std::stold(row[kClock]));
  return {std::move(policy), key};
}

}  // namespace

void InitStoredPolicies() {
  DefineCustomIntVariable(
      "teamscale.move_in_place_limit",
      "Partitions up to this size are moved to another tablespace under a lock that keeps others "
      "out.",
      "Larger ones are copied beside, which takes longer and keeps nobody out.",
      &move_in_place_limit, 65536, 0, INT_MAX, PGC_SIGHUP, GUC_UNIT_KB, nullptr, nullptr, nullptr);
}

std::int64_t MoveInPlaceLimit() { return std::int64_t{move_in_place_limit} * 1024; }

std::vector<StoredPolicy> ReadPolicies(const std::vector<Oid>& tables) {
  const List* oids = CallPostgres([&] { return OidList(tables.data(), tables.size()); });
  std::map<LevelId, LevelRows> rows;
  for (Row row : Read(kSteps, oids)) rows[{row[0], row[1]}].steps.push_back(row);
  for (Row row : Read(kTablespaces, oids)) rows[{row[0], row[1]}].tablespaces.push_back(row);
  for (Row row : Read(kValues, oids)) rows[{row[0], row[1]}].values.push_back(row);

  std::map<Oid, std::vector<Row>> levels;
  for (Row row : Read(kLevels, oids)) levels[OidOfText(row[kTable])].push_back(row);
  std::vector<StoredPolicy> policies;
  for (const auto& [table, of_table] : levels) {
    Row upper = of_table.front();
    Level level = ReadLevel(upper, rows[{upper[kTable], upper[kLevel]}]);
    StoredPolicy stored{.table = table, .key = level.key, .before_drop = upper[kBeforeDrop]};
    if (of_table.size() > 1) {
      Row lower = of_table[1];
      Level below = ReadLevel(lower, rows[{lower[kTable], lower[kLevel]}]);
      stored.key_below = below.key;
      level.policy.below = std::make_shared<const core::PartitionPolicy>(std::move(below.policy));
    }
    stored.policy = std::make_shared<const core::PartitionPolicy>(std::move(level.policy));
    policies.push_back(std::move(stored));
  }
  for (Row row : Read(kNewest, oids))
    for (StoredPolicy& stored : policies)
      if (stored.table == OidOfText(row[kNewestOf]))
        stored.newest[OidOfText(row[kNewestTable])] = std::stoll(row[kNewestPoint]);
  return policies;
}

}  // namespace teamscale

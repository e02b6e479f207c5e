#include "teamscale/postgres/partition/key_look.h"

#include "teamscale/core/partition/quote.h"
#include "teamscale/postgres/boundary/guard.h"

extern "C" {
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
}

namespace teamscale {

namespace {

constexpr std::size_t kMostRanges = 1000;

struct FoundKey {
  bool found;
  core::Point point;
};

// Runs a query of the current user's with SPI connected. Plain dialect.
void Query(const char* sql, int count, Oid* types, Datum* values) {
  Oid user;
  int context;
  GetUserIdAndSecContext(&user, &context);
  SetUserIdAndSecContext(user, context | SECURITY_NOFORCE_RLS);
  int status = SPI_execute_with_args(sql, count, types, values, nullptr, true, 0);
  SetUserIdAndSecContext(user, context);
  if (status != SPI_OK_SELECT)
    elog(ERROR, "could not look at keys: %s", SPI_result_code_string(status));
}

// The point of the only value, if there is one. Plain dialect.
FoundKey QueryKey(const char* sql, const RangeKey& key) {
  SPI_connect();
  Query(sql, 0, nullptr, nullptr);
  FoundKey found{};
  if (SPI_processed == 1) {
    bool is_null;
    Datum value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &is_null);
    if (!is_null) found = {.found = true, .point = PointOfValue(key, value)};
  }
  SPI_finish();
  return found;
}

std::optional<core::Point> LookUp(const std::string& sql, const RangeKey& key) {
  const char* text = sql.c_str();
  FoundKey found = CallPostgres([&] { return QueryKey(text, key); });
  return found.found ? std::optional(found.point) : std::nullopt;
}

// Ordered as the partition key is, which for text is by bytes whatever the column's collation.
std::string OrderedBy(const RangeKey& key, const std::string& column) {
  std::string quoted = core::QuoteIdentifier(column);
  return key.type == TEXTOID ? quoted + " COLLATE \"C\"" : quoted;
}

std::string ExtremeQuery(const core::TableName& table, const std::string& column,
                         const RangeKey& key, const std::string& condition, const char* direction) {
  std::string order = OrderedBy(key, column);
  return "SELECT " + core::QuoteIdentifier(column) + " FROM " + core::QuoteName(table) + condition +
         " ORDER BY " + order + " " + direction + " LIMIT 1";
}

// Where the point's range ends; keys before all ranges (-infinity) end where those begin.
std::optional<core::Point> EndOfRange(const core::PartitionCalendar& calendar, core::Point point) {
  if (point < calendar.axis().LowestBound()) return calendar.axis().LowestBound();
  std::optional<core::Range> range = calendar.RangeOf(point);
  return range ? range->upper : std::nullopt;
}

}  // namespace

bool HasRows(const core::TableName& table) {
  std::string sql = "SELECT 1 FROM " + core::QuoteName(table) + " LIMIT 1";
  const char* text = sql.c_str();
  return CallPostgres([text] {
    SPI_connect();
    Query(text, 0, nullptr, nullptr);
    bool found = SPI_processed > 0;
    SPI_finish();
    return found;
  });
}

std::optional<core::Point> GreatestKey(const core::TableName& table, const std::string& column,
                                       const RangeKey& key) {
  return LookUp(ExtremeQuery(table, column, key, "", "DESC"), key);
}

std::vector<core::RowsInDefault> RangesWithRows(const core::TableName& table,
                                                const std::string& column, const RangeKey& key,
                                                const core::PartitionCalendar& calendar,
                                                std::int64_t rows, std::int64_t bytes) {
  std::vector<core::RowsInDefault> found;
  std::optional<core::Point> first = LookUp(ExtremeQuery(table, column, key, "", "ASC"), key);
  if (!first) return found;
  core::Point last = *GreatestKey(table, column, key);
  while (first) {
    std::optional<core::Point> next = EndOfRange(calendar, *first);
    if (!next || *next > last || found.size() + 1 == kMostRanges) {
      found.push_back({.first = *first, .last = last});
      break;
    }
    found.push_back({.first = *first, .last = *next - 1});
    std::string condition = " WHERE " + OrderedBy(key, column) +
                            " >= " + core::QuoteLiteral(calendar.axis().Literal(*next));
    first = LookUp(ExtremeQuery(table, column, key, condition, "ASC"), key);
  }
  auto count = static_cast<std::int64_t>(found.size());
  for (core::RowsInDefault& part : found) {
    part.rows = rows / count;
    part.bytes = bytes / count;
  }
  return found;
}

std::vector<core::ValueInDefault> ValuesWithRows(const core::TableName& table,
                                                 const std::string& column, std::int64_t most) {
  std::string quoted = core::QuoteIdentifier(column);
  std::string sql = "SELECT " + quoted + ", pg_catalog.count(*) FROM " + core::QuoteName(table) +
                    " GROUP BY 1 ORDER BY 2 DESC LIMIT " + std::to_string(most);
  struct Value {
    char* text;
    char* rows;
  };
  const char* text = sql.c_str();
  MemoryContext context = CurrentMemoryContext;
  const List* values = CallPostgres([=] {
    List* list = NIL;
    SPI_connect();
    Query(text, 0, nullptr, nullptr);
    MemoryContext spi = MemoryContextSwitchTo(context);
    for (uint64 i = 0; i < SPI_processed; ++i) {
      auto* value = static_cast<Value*>(palloc(sizeof(Value)));
      value->text = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
      value->rows = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2);
      list = lappend(list, value);
    }
    MemoryContextSwitchTo(spi);
    SPI_finish();
    return list;
  });
  std::vector<core::ValueInDefault> found;
  for (int i = 0; i < list_length(values); ++i) {
    auto* value = static_cast<const Value*>(list_nth(values, i));
    found.push_back({.value = value->text ? core::ListValue(value->text) : std::nullopt,
                     .rows = std::stoll(value->rows)});
  }
  return found;
}

}  // namespace teamscale

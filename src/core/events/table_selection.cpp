#include "teamscale/core/events/table_selection.h"

#include <algorithm>
#include <array>
#include <utility>

namespace teamscale::core {

namespace {

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\n')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\n')) text.remove_suffix(1);
  return text;
}

// The first position at which found holds, outside double quotes; npos when there is none.
template <typename Found>
std::size_t FindUnquoted(std::string_view text, Found&& found) {
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') quoted = !quoted;
    if (!quoted && found(i)) return i;
  }
  return std::string_view::npos;
}

std::optional<std::string> ParseList(std::string_view text, std::size_t parts,
                                     std::vector<NamePattern>* patterns) {
  while (true) {
    std::size_t comma = FindUnquoted(text, [&](std::size_t i) { return text[i] == ','; });
    std::string_view word = Trim(text.substr(0, comma));
    NamePattern pattern;
    if (!NamePattern::Parse(word, &pattern) || pattern.parts() != parts) return std::string(word);
    patterns->push_back(std::move(pattern));
    if (comma == std::string_view::npos) return std::nullopt;
    text.remove_prefix(comma + 1);
  }
}

bool Any(const std::vector<NamePattern>& patterns, std::span<const std::string_view> name) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const NamePattern& pattern) { return pattern.Matches(name); });
}

bool IsWhere(std::string_view text) {
  constexpr std::string_view kWhere = " where ";
  if (text.size() < kWhere.size()) return false;
  for (std::size_t i = 0; i < kWhere.size(); ++i)
    if ((text[i] | 0x20) != kWhere[i]) return false;
  return true;
}

}  // namespace

std::optional<std::string> TableSelection::IncludeTables(std::string_view patterns) {
  return ParseList(patterns, 2, &tables_);
}

std::optional<std::string> TableSelection::ExcludeTables(std::string_view patterns) {
  return ParseList(patterns, 2, &excluded_tables_);
}

std::optional<std::string> TableSelection::IncludeColumns(std::string_view patterns) {
  return ParseList(patterns, 3, &columns_);
}

std::optional<std::string> TableSelection::ExcludeColumns(std::string_view patterns) {
  return ParseList(patterns, 3, &excluded_columns_);
}

std::optional<std::string> TableSelection::FilterRows(std::string_view filter) {
  std::size_t where =
      FindUnquoted(filter, [&](std::size_t i) { return IsWhere(filter.substr(i)); });
  if (where == std::string_view::npos) return std::string(filter);
  Filter parsed;
  std::string_view table = Trim(filter.substr(0, where));
  parsed.condition = Trim(filter.substr(where + 7));
  if (!NamePattern::Parse(table, &parsed.table) || parsed.table.parts() != 2 ||
      parsed.condition.empty())
    return std::string(filter);
  filters_.push_back(std::move(parsed));
  return std::nullopt;
}

bool TableSelection::HasTable(std::string_view schema, std::string_view table) const {
  std::array name{schema, table};
  return (tables_.empty() || Any(tables_, name)) && !Any(excluded_tables_, name);
}

bool TableSelection::HasColumn(std::string_view schema, std::string_view table,
                               std::string_view column) const {
  std::array name{schema, table, column};
  if (Any(excluded_columns_, name)) return false;
  if (Any(columns_, name)) return true;
  // Whether any pattern speaks of this table: then its columns are those named.
  return std::none_of(columns_.begin(), columns_.end(), [&](const NamePattern& pattern) {
    return pattern.MatchesPrefix(std::span(name).first(2));
  });
}

std::string TableSelection::RowFilter(std::string_view schema, std::string_view table) const {
  std::array name{schema, table};
  std::string condition;
  for (const Filter& filter : filters_) {
    if (!filter.table.Matches(name)) continue;
    if (!condition.empty()) condition += " AND ";
    condition += "(" + filter.condition + ")";
  }
  return condition;
}

}  // namespace teamscale::core

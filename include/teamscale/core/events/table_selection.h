// Which tables, columns and rows a stream has, by patterns of names: so that a table that is made
// later belongs to it too.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "teamscale/core/events/name_pattern.h"

namespace teamscale::core {

class TableSelection {
 public:
  // Lists of patterns, separated by commas; a part in double quotes may contain one. Each gives the
  // pattern that cannot be read, or nothing.
  std::optional<std::string> IncludeTables(std::string_view patterns);   // schema.table
  std::optional<std::string> ExcludeTables(std::string_view patterns);   // schema.table
  std::optional<std::string> IncludeColumns(std::string_view patterns);  // schema.table.column
  std::optional<std::string> ExcludeColumns(std::string_view patterns);  // schema.table.column
  // schema.table WHERE condition
  std::optional<std::string> FilterRows(std::string_view filter);

  // Nothing included: every table is.
  bool HasTable(std::string_view schema, std::string_view table) const;
  // A table that no included pattern speaks of has all columns that are not excluded.
  bool HasColumn(std::string_view schema, std::string_view table, std::string_view column) const;
  // The condition on the table's rows; empty when it has none. Of several, all must hold.
  std::string RowFilter(std::string_view schema, std::string_view table) const;

 private:
  struct Filter {
    NamePattern table;
    std::string condition;
  };

  std::vector<NamePattern> tables_;
  std::vector<NamePattern> excluded_tables_;
  std::vector<NamePattern> columns_;
  std::vector<NamePattern> excluded_columns_;
  std::vector<Filter> filters_;
};

}  // namespace teamscale::core

// Names and values as SQL text. Whatever a user put into a name or a value, what comes out is one
// identifier or one string constant.
#pragma once

#include <string>
#include <string_view>

namespace teamscale::core {

struct TableName {
  std::string schema;
  std::string name;

  bool operator==(const TableName&) const = default;
};

// Quotes always: a name that is a keyword today or tomorrow needs no list of keywords.
std::string QuoteIdentifier(std::string_view name);
// Means the same whatever standard_conforming_strings says.
std::string QuoteLiteral(std::string_view value);
// "schema"."name"
std::string QuoteName(const TableName& table);

}  // namespace teamscale::core

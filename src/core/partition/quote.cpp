#include "teamscale/core/partition/quote.h"

namespace teamscale::core {

namespace {

std::string Doubled(std::string_view text, std::string_view doubled) {
  std::string result;
  result.reserve(text.size() + 2);
  for (char letter : text) {
    if (doubled.find(letter) != std::string_view::npos) result += letter;
    result += letter;
  }
  return result;
}

}  // namespace

std::string QuoteIdentifier(std::string_view name) { return "\"" + Doubled(name, "\"") + "\""; }

std::string QuoteLiteral(std::string_view value) {
  bool has_backslash = value.find('\\') != std::string_view::npos;
  return (has_backslash ? "E'" : "'") + Doubled(value, "'\\") + "'";
}

std::string QuoteName(const TableName& table) {
  return QuoteIdentifier(table.schema) + "." + QuoteIdentifier(table.name);
}

}  // namespace teamscale::core

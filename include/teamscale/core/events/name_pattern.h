// Patterns of dotted names, such as sales.* or public.order_?.secret*: which tables and columns a
// stream has.
//
// The parts of a pattern are matched one by one with the parts of a name; a dot separates parts and
// is never matched. In a part, * stands for any number of characters and ? for one; a part in
// double quotes stands for itself, with "" for a quote.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace teamscale::core {

class NamePattern {
 public:
  // Empty parts, an open quote, or something behind a closing quote: false.
  static bool Parse(std::string_view text, NamePattern* pattern);

  std::size_t parts() const { return parts_.size(); }
  bool Matches(std::span<const std::string_view> name) const;
  // Whether its first parts match a name of fewer parts.
  bool MatchesPrefix(std::span<const std::string_view> name) const;

 private:
  struct Part {
    std::string text;
    bool literal;
  };
  std::vector<Part> parts_;
};

}  // namespace teamscale::core

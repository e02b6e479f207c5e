#include "teamscale/core/events/name_pattern.h"

#include <utility>

namespace teamscale::core {

namespace {

// The byte behind the UTF-8 character at i.
std::size_t NextCharacter(std::string_view text, std::size_t i) {
  ++i;
  while (i < text.size() && (static_cast<unsigned char>(text[i]) & 0xc0) == 0x80) ++i;
  return i;
}

// Backtracks to the last * only: enough, as a later one may take whatever an earlier one could.
bool GlobMatches(std::string_view glob, std::string_view name) {
  std::size_t g = 0;
  std::size_t n = 0;
  std::size_t star = std::string_view::npos;
  std::size_t star_name = 0;
  while (n < name.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      star_name = n;
    } else if (g < glob.size() && glob[g] == '?') {
      ++g;
      n = NextCharacter(name, n);
    } else if (g < glob.size() && glob[g] == name[n]) {
      ++g;
      ++n;
    } else if (star != std::string_view::npos) {
      g = star + 1;
      star_name = NextCharacter(name, star_name);
      n = star_name;
    } else {
      return false;
    }
  }
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}

}  // namespace

bool NamePattern::Parse(std::string_view text, NamePattern* pattern) {
  pattern->parts_.clear();
  std::size_t i = 0;
  while (true) {
    Part part{.text = {}, .literal = i < text.size() && text[i] == '"'};
    if (part.literal) {
      ++i;
      while (true) {
        if (i == text.size()) return false;
        if (text[i] == '"') {
          if (i + 1 == text.size() || text[i + 1] != '"') break;
          ++i;
        }
        part.text += text[i++];
      }
      ++i;
    } else {
      while (i < text.size() && text[i] != '.') {
        if (text[i] == '"') return false;
        part.text += text[i++];
      }
    }
    if (part.text.empty()) return false;
    pattern->parts_.push_back(std::move(part));
    if (i == text.size()) return true;
    if (text[i++] != '.') return false;
  }
}

bool NamePattern::Matches(std::span<const std::string_view> name) const {
  return name.size() == parts_.size() && MatchesPrefix(name);
}

bool NamePattern::MatchesPrefix(std::span<const std::string_view> name) const {
  if (name.size() > parts_.size()) return false;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const Part& part = parts_[i];
    if (part.literal ? part.text != name[i] : !GlobMatches(part.text, name[i])) return false;
  }
  return true;
}

}  // namespace teamscale::core

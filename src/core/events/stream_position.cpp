#include "teamscale/core/events/stream_position.h"

#include <charconv>

namespace teamscale::core {

namespace {

template <typename Number>
bool ParseWhole(std::string_view text, int base, Number* number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number, base);
  return error == std::errc() && end == text.data() + text.size();
}

bool ParsePoint(std::string_view word, StreamPosition* position) {
  std::size_t equals = word.find('=');
  std::size_t colon = word.find(':', equals == std::string_view::npos ? word.size() : equals);
  if (colon == std::string_view::npos) return false;
  int node = 0;
  StreamPoint point;
  std::optional<std::uint64_t> lsn = ParseLsn(word.substr(equals + 1, colon - equals - 1));
  if (!lsn || !ParseWhole(word.substr(0, equals), 10, &node) ||
      !ParseWhole(word.substr(colon + 1), 10, &point.ordinal))
    return false;
  point.lsn = *lsn;
  return position->points.emplace(node, point).second;
}

}  // namespace

namespace {

char* WriteHex(char* out, std::uint32_t value) {
  constexpr char kHex[] = "0123456789ABCDEF";
  int shift = 28;
  while (shift > 0 && value >> shift == 0) shift -= 4;
  for (; shift >= 0; shift -= 4) *out++ = kHex[value >> shift & 15];
  return out;
}

}  // namespace

char* WriteLsn(char* out, std::uint64_t lsn) {
  out = WriteHex(out, static_cast<std::uint32_t>(lsn >> 32));
  *out++ = '/';
  return WriteHex(out, static_cast<std::uint32_t>(lsn));
}

std::optional<std::uint64_t> ParseLsn(std::string_view text) {
  std::size_t slash = text.find('/');
  std::uint32_t high = 0;
  std::uint32_t low = 0;
  if (slash == std::string_view::npos || !ParseWhole(text.substr(0, slash), 16, &high) ||
      !ParseWhole(text.substr(slash + 1), 16, &low))
    return std::nullopt;
  return std::uint64_t{high} << 32 | low;
}

std::string FormatPosition(const StreamPosition& position) {
  std::string text = position.stream;
  for (const auto& [node, point] : position.points) {
    char lsn[kLsnSize];
    text += ' ';
    text += std::to_string(node);
    text += '=';
    text.append(lsn, WriteLsn(lsn, point.lsn));
    text += ':';
    text += std::to_string(point.ordinal);
  }
  return text;
}

std::optional<StreamPosition> ParsePosition(std::string_view text) {
  StreamPosition position;
  std::size_t space = text.find(' ');
  position.stream = text.substr(0, space);
  if (position.stream.empty()) return std::nullopt;
  while (space != std::string_view::npos) {
    std::size_t start = space + 1;
    space = text.find(' ', start);
    if (!ParsePoint(text.substr(start, space - start), &position)) return std::nullopt;
  }
  return position;
}

}  // namespace teamscale::core

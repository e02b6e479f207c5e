#include "teamscale/core/cluster/gid.h"

#include <array>
#include <charconv>

namespace teamscale::core {

namespace {

constexpr std::string_view kScheme = "teamscale";
constexpr std::size_t kParts = 7;

template <typename Number>
std::string Format(Number value, int base) {
  std::array<char, 24> buffer;
  auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, base).ptr;
  return std::string(buffer.data(), end);
}

template <typename Number>
bool Parse(std::string_view text, int base, Number& value) {
  auto result = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return result.ec == std::errc() && result.ptr == text.data() + text.size();
}

}  // namespace

std::string GidPrefix(std::string_view cluster, std::int32_t router) {
  std::string prefix(kScheme);
  prefix.append(":").append(cluster).append(":").append(Format(router, 10)).append(":");
  return prefix;
}

std::string FormatGid(const Gid& gid) {
  return GidPrefix(gid.cluster, gid.router) + Format(gid.boot, 16) + ":" +
         Format(gid.transaction, 10) + ":" + Format(gid.random, 16) + ":" + Format(gid.number, 10);
}

std::optional<Gid> ParseGid(std::string_view text) {
  std::array<std::string_view, kParts> parts;
  for (std::size_t i = 0; i < kParts; ++i) {
    std::size_t colon = text.find(':');
    bool last = i + 1 == kParts;
    if (last != (colon == std::string_view::npos)) return std::nullopt;
    parts[i] = text.substr(0, colon);
    if (!last) text.remove_prefix(colon + 1);
  }
  Gid gid;
  if (parts[0] != kScheme || parts[1].empty() || !Parse(parts[2], 10, gid.router) ||
      !Parse(parts[3], 16, gid.boot) || !Parse(parts[4], 10, gid.transaction) ||
      !Parse(parts[5], 16, gid.random) || !Parse(parts[6], 10, gid.number))
    return std::nullopt;
  gid.cluster = parts[1];
  return gid;
}

}  // namespace teamscale::core

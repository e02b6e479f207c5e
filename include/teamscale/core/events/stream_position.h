// Where a reader of a stream is: on each node a point between two events.
//
// Terms: an event's *ordinal* counts the changes of its transaction from 1, before any filter; the
// begin marker has 0. A *point* (LSN, ordinal) lies before the event of that commit LSN and
// ordinal, and behind all that come earlier. A *position* is a point for each node.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace teamscale::core {

struct StreamPoint {
  std::uint64_t lsn = 0;  // of the commit record
  std::uint64_t ordinal = 0;

  auto operator<=>(const StreamPoint&) const = default;
};

// LSNs as PostgreSQL writes them, 16/B374D848. Room for kLsnSize bytes.
constexpr std::size_t kLsnSize = 17;
char* WriteLsn(char* out, std::uint64_t lsn);
std::optional<std::uint64_t> ParseLsn(std::string_view text);

struct StreamPosition {
  std::string stream;  // the id of the stream it belongs to
  std::map<int, StreamPoint> points;
};

// One line of text, STREAM NODE=LSN:ORDINAL ..., which readers hand back as it is.
std::string FormatPosition(const StreamPosition& position);
std::optional<StreamPosition> ParsePosition(std::string_view text);

}  // namespace teamscale::core

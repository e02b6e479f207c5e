// The names of prepared transactions (gids), by which a router finds its own on other nodes:
//
//   teamscale:<cluster>:<router node>:<boot>:<full transaction id>:<64 random bits>:<number>
//
// boot is the router's ServerBootId, in hexadecimal: transaction ids are not logged when given out,
// so after a crash the same one is given out again; the random bits keep a late PREPARE of an
// aborted transaction from being taken for a newer one. number counts the participants.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace teamscale::core {

struct Gid {
  std::string cluster = {};  // its uuid in text form
  std::int32_t router = 0;
  std::uint64_t boot = 0;
  std::uint64_t transaction = 0;  // full transaction id
  std::uint64_t random = 0;
  std::uint32_t number = 0;

  bool operator==(const Gid&) const = default;
};

// At most 199 bytes, PostgreSQL's limit.
std::string FormatGid(const Gid& gid);

// Nothing for a name that is not a gid of ours.
std::optional<Gid> ParseGid(std::string_view text);

// What the gids of one router begin with, up to and including the colon before boot.
std::string GidPrefix(std::string_view cluster, std::int32_t router);

}  // namespace teamscale::core

// Ids that begin with the time at which they were made, and so sort by it: a point is the time of
// an id, the *first id* of a point the least one of that millisecond.
//
//   UUIDv7   |  48 bits: milliseconds since 1970  | 0111 | 12 bits | 10 | 62 bits |
//   ULID     01HK153X00 TSV4RRFFQ69G5FAV     10 characters of time, 16 of chance, Crockford's base
//   32
//
// A ULID is text, compared byte by byte (COLLATE "C"), in capitals: its alphabet is in ASCII's
// order.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "teamscale/core/partition/range.h"

namespace teamscale::core {

using UuidBytes = std::array<std::uint8_t, 16>;

// Milliseconds that both kinds have room for.
constexpr std::int64_t kTimeOrderedIdMilliseconds = std::int64_t{1} << 48;

// The point's millisecond is from 0 up to, but without, kTimeOrderedIdMilliseconds.
std::string FirstUuidOf(Point point);
std::string FirstUlidOf(Point point);

// The time in the first 48 bits, of a UUID of whatever version.
Point PointOfUuid(const UuidBytes& uuid);

// Of any text, whether a ULID, a part of one or neither, so that texts and their points are in the
// same order: what is missing at the end counts as zeros, a character out of the alphabet as what
// lies between its neighbours there; text after the last ULID has the last point.
Point PointOfUlid(std::string_view text);

}  // namespace teamscale::core

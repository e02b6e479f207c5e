// Which columns of a statement are pinned to a value.
//
// A column is *pinned* to a value when rows that have another value there cannot make a difference
// to the statement's result. A condition such as team_id = 42 pins a column (a seed). A condition
// such as a.team_id = b.team_id passes a pin on: if a.team_id is pinned, rows of b with another
// value find no partner (an edge). Not every equality does so in both directions: the ON condition
// of a LEFT JOIN pins the nullable side only.
//
// Equality means something only within one *notion of equality* (an operator family and, where it
// matters, a collation). A pin passes an edge of the same notion, or one that hands values on
// unchanged (kIdentity: a column of a subquery is the column inside it).
#pragma once

#include <cstdint>
#include <span>

namespace teamscale::core {

using Equality = std::uint64_t;
inline constexpr Equality kIdentity = 0;

inline constexpr int kUnpinned = -1;

struct PinSeed {
  int column;
  int value;  // the caller's number of the value
  Equality equality;
};

struct PinEdge {
  int from;
  int to;
  Equality equality;
};

struct Pin {
  int value = kUnpinned;
  Equality equality = kIdentity;
};

// Fills pins (one per column, all unpinned before) from seeds along edges. The first pin that
// reaches a column stays: any of several is right, as rows have to satisfy all of them.
//
// wanted says for each column which notion of equality its pin must be of, kIdentity for any.
void PropagatePins(std::span<const PinSeed> seeds, std::span<const PinEdge> edges,
                   std::span<const Equality> wanted, std::span<Pin> pins) noexcept;

}  // namespace teamscale::core

// What a partition holds of its parent's rows, as the catalog has it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "teamscale/core/partition/key_axis.h"
#include "teamscale/core/partition/range.h"

namespace teamscale::core {

// Whatever no other partition holds.
struct DefaultBound {
  bool operator==(const DefaultBound&) const = default;
};

// The texts are the bounds as the catalog has them; they matter where keys are finer than points
// (UUIDs made by hand) and may be left empty elsewhere. A side of the range without a point is
// MINVALUE or MAXVALUE.
struct RangeBound {
  Range range = {};
  std::string lower_text = {};
  std::string upper_text = {};

  bool operator==(const RangeBound&) const = default;
};

// A value is the text that its type prints; nothing is NULL.
using ListValue = std::optional<std::string>;

struct ListBound {
  std::vector<ListValue> values = {};

  bool operator==(const ListBound&) const = default;
};

struct HashBound {
  std::uint32_t modulus = 1;
  std::uint32_t remainder = 0;

  bool operator==(const HashBound&) const = default;
};

using Bound = std::variant<DefaultBound, RangeBound, ListBound, HashBound>;

// The bound of a range, with its texts.
RangeBound RangeBoundOf(const KeyAxis& axis, const Range& range);

// "FOR VALUES FROM ('1000') TO (MAXVALUE)", "DEFAULT". A range bound must have its texts.
std::string BoundClause(const Bound& bound);

}  // namespace teamscale::core

// The values of a policy's column as points of its axis.
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "teamscale/core/partition/key_axis.h"
#include "teamscale/core/partition/problem.h"
#include "teamscale/postgres/boundary/server.h"

extern "C" {
#include "access/attnum.h"
}

namespace teamscale {

// What a column is to a range policy. Plain data, read from the catalog before guarded code begins.
struct KeyColumn {
  Oid type;             // below domains
  bool sorts_by_bytes;  // collation C, or one like it
  char name[NAMEDATALEN];
};

// The axis of a column, and the type whose values are points on it.
struct RangeKey {
  core::KeyAxis axis;
  Oid type;
};

// Plain dialect. Raises 42703 when the column is gone.
KeyColumn ReadKeyColumn(Oid relation, AttrNumber column);

// epoch: seconds, milliseconds or empty. A problem when no range policy can be on such a column.
std::variant<RangeKey, core::Problem> RangeKeyOf(const KeyColumn& column, const std::string& epoch);

// The point of a value that is not null; infinite times are beyond all bounds. Raises nothing:
// callable from both dialects.
core::Point PointOfValue(const RangeKey& key, Datum value);

}  // namespace teamscale

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

// Plain dialect. Raises 42703 when the column is gone.
KeyColumn ReadKeyColumn(Oid relation, AttrNumber column);

// epoch: seconds, milliseconds or empty. A problem when no range policy can be on such a column.
std::variant<core::KeyAxis, core::Problem> AxisOfColumn(const KeyColumn& column,
                                                        const std::string& epoch);

// The point of a value that is not null; infinite times are beyond all bounds. Plain and guarded:
// raises nothing for a value of the axis' type.
core::Point PointOfValue(const core::KeyAxis& axis, Oid type, Datum value);

}  // namespace teamscale

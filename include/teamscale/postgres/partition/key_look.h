// Looks at the keys that a table's rows have, by queries as the current user. Row security does not
// hide rows from them: the user owns the table. Guarded dialect.
#pragma once

#include <optional>
#include <vector>

#include "teamscale/core/partition/partition_calendar.h"
#include "teamscale/core/partition/partition_state.h"
#include "teamscale/postgres/boundary/server.h"
#include "teamscale/postgres/partition/key_values.h"

namespace teamscale {

bool HasRows(const core::TableName& table);

std::optional<core::Point> GreatestKey(const core::TableName& table, const std::string& column,
                                       const RangeKey& key);

// The ranges of the calendar in which a table has rows, from the first on; from a number of them on
// the rest is one. rows and bytes are the table's, spread evenly.
std::vector<core::RowsInDefault> RangesWithRows(const core::TableName& table,
                                                const std::string& column, const RangeKey& key,
                                                const core::PartitionCalendar& calendar,
                                                std::int64_t rows, std::int64_t bytes);

// The values that a column has, as its type prints them, at most so many, with how many rows.
std::vector<core::ValueInDefault> ValuesWithRows(const core::TableName& table,
                                                 const std::string& column, std::int64_t most);

}  // namespace teamscale

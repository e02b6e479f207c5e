// Which stretches of an axis are taken by ranges, and which are open. Ranges do not overlap;
// empty ones count for nothing.
#pragma once

#include <optional>
#include <vector>

#include "teamscale/core/partition/range.h"

namespace teamscale::core {

// Bounds in order: no lower bound comes before all, no upper bound after all.
bool LowerIsBefore(const Range& left, const Range& right);
bool UpperIsBefore(const Range& left, const Range& right);

class Coverage {
 public:
  explicit Coverage(std::vector<Range> ranges);

  // The range that holds the point, or null.
  const Range* Find(Point point) const;
  // The open stretch around a point that no range holds.
  Range GapAt(Point point) const;
  // The open stretches within a range, ascending.
  std::vector<Range> Gaps(const Range& within) const;

 private:
  // The first range that ends after the point.
  std::vector<Range>::const_iterator EndsAfter(Point point) const;

  std::vector<Range> ranges_;  // ascending
};

// The same points in as few ranges as can be, ascending: those that meet or overlap become one.
std::vector<Range> Merge(std::vector<Range> ranges);

}  // namespace teamscale::core

#include "teamscale/core/partition/coverage.h"

#include <algorithm>
#include <utility>

namespace teamscale::core {

bool LowerIsBefore(const Range& left, const Range& right) {
  if (!right.lower) return false;
  return !left.lower || *left.lower < *right.lower;
}

bool UpperIsBefore(const Range& left, const Range& right) {
  if (!left.upper) return false;
  return !right.upper || *left.upper < *right.upper;
}

Coverage::Coverage(std::vector<Range> ranges) : ranges_(std::move(ranges)) {
  std::erase_if(ranges_, [](const Range& range) { return range.IsEmpty(); });
  std::sort(ranges_.begin(), ranges_.end(), LowerIsBefore);
}

std::vector<Range>::const_iterator Coverage::EndsAfter(Point point) const {
  return std::partition_point(ranges_.begin(), ranges_.end(), [&](const Range& range) {
    return range.upper && *range.upper <= point;
  });
}

const Range* Coverage::Find(Point point) const {
  auto found = EndsAfter(point);
  if (found == ranges_.end() || !found->Contains(point)) return nullptr;
  return &*found;
}

Range Coverage::GapAt(Point point) const {
  auto after = EndsAfter(point);
  Range gap;
  if (after != ranges_.end()) gap.upper = after->lower;
  if (after != ranges_.begin()) gap.lower = std::prev(after)->upper;
  return gap;
}

std::vector<Range> Coverage::Gaps(const Range& within) const {
  std::vector<Range> gaps;
  Range rest = within;
  for (auto range = within.lower ? EndsAfter(*within.lower) : ranges_.begin();
       range != ranges_.end() && !rest.IsEmpty(); ++range) {
    if (rest.upper && range->lower && *range->lower >= *rest.upper) break;
    Range gap = rest;
    gap.upper = range->lower;
    // A range without a lower bound leaves nothing before it.
    if (range->lower && !gap.IsEmpty()) gaps.push_back(gap);
    if (!range->upper) return gaps;
    rest.lower = range->upper;
  }
  if (!rest.IsEmpty()) gaps.push_back(rest);
  return gaps;
}

std::vector<Range> Merge(std::vector<Range> ranges) {
  std::erase_if(ranges, [](const Range& range) { return range.IsEmpty(); });
  std::sort(ranges.begin(), ranges.end(), LowerIsBefore);
  std::vector<Range> merged;
  for (const Range& range : ranges) {
    bool apart = merged.empty() ||
                 (merged.back().upper && range.lower && *merged.back().upper < *range.lower);
    if (apart) {
      merged.push_back(range);
    } else if (UpperIsBefore(merged.back(), range)) {
      merged.back().upper = range.upper;
    }
  }
  return merged;
}

}  // namespace teamscale::core

#include "teamscale/core/partition/coverage.h"

#include <gtest/gtest.h>

#include <random>

namespace teamscale::core {
namespace {

TEST(Coverage, FindsWhatIsTakenAndWhatIsOpen) {
  Coverage coverage({{20, 30}, {5, 5}, {0, 10}});
  EXPECT_EQ(*coverage.Find(0), (Range{0, 10}));
  EXPECT_EQ(coverage.Find(10), nullptr);
  EXPECT_EQ(coverage.Find(-1), nullptr);
  EXPECT_EQ(coverage.Find(30), nullptr);
  EXPECT_EQ(coverage.GapAt(15), (Range{10, 20}));
  EXPECT_EQ(coverage.GapAt(-1), (Range{std::nullopt, 0}));
  EXPECT_EQ(coverage.GapAt(30), (Range{30, std::nullopt}));
  EXPECT_EQ(coverage.Gaps({5, 40}), (std::vector<Range>{{10, 20}, {30, 40}}));
  EXPECT_EQ(coverage.Gaps({2, 8}), (std::vector<Range>{}));
  EXPECT_EQ(coverage.Gaps({}),
            (std::vector<Range>{{std::nullopt, 0}, {10, 20}, {30, std::nullopt}}));
}

TEST(Coverage, KnowsRangesWithoutBounds) {
  Coverage coverage({{std::nullopt, 0}, {10, std::nullopt}});
  EXPECT_NE(coverage.Find(INT64_MIN), nullptr);
  EXPECT_NE(coverage.Find(INT64_MAX), nullptr);
  EXPECT_EQ(coverage.Gaps({}), (std::vector<Range>{{0, 10}}));
  EXPECT_EQ(coverage.Gaps({-5, 5}), (std::vector<Range>{{0, 5}}));
  EXPECT_EQ(Coverage(std::vector<Range>(1)).Gaps({}), (std::vector<Range>{}));
  EXPECT_EQ(Coverage(std::vector<Range>()).Gaps({}), std::vector<Range>(1));
}

TEST(Coverage, AgreesWithCountingPoints) {
  std::mt19937_64 random(4);
  for (int round = 0; round < 2000; round++) {
    std::vector<bool> taken(40);
    std::vector<Range> ranges;
    for (Point point = static_cast<Point>(random() % 6); point < 40;) {
      Point upper = std::min<Point>(40, point + 1 + static_cast<Point>(random() % 6));
      ranges.push_back({point, upper});
      for (Point i = point; i < upper; i++) taken[static_cast<std::size_t>(i)] = true;
      point = upper + static_cast<Point>(random() % 3);
    }
    std::shuffle(ranges.begin(), ranges.end(), random);
    Coverage coverage(ranges);
    Range within{static_cast<Point>(random() % 20), static_cast<Point>(random() % 20 + 15)};
    std::vector<Range> gaps = coverage.Gaps(within);
    std::vector<Range> merged = Merge(ranges);
    for (Point point = 0; point < 40; point++) {
      bool is_taken = taken[static_cast<std::size_t>(point)];
      auto holds = [&](const Range& range) { return range.Contains(point); };
      ASSERT_EQ(coverage.Find(point) != nullptr, is_taken);
      ASSERT_EQ(std::count_if(gaps.begin(), gaps.end(), holds),
                !is_taken && within.Contains(point));
      ASSERT_EQ(std::count_if(merged.begin(), merged.end(), holds), is_taken);
      if (!is_taken) {
        Range gap = coverage.GapAt(point);
        ASSERT_TRUE(gap.Contains(point));
        for (const Range& range : ranges) ASSERT_FALSE(gap.Overlaps(range));
      }
    }
    for (std::size_t i = 1; i < merged.size(); i++)
      ASSERT_LT(*merged[i - 1].upper, *merged[i].lower);
  }
}

}  // namespace
}  // namespace teamscale::core

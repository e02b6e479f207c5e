#include "teamscale/core/partition/bound.h"

#include <gtest/gtest.h>

#include "civil.h"

namespace teamscale::core {
namespace {

TEST(Bound, IsWrittenAsPostgresReadsIt) {
  KeyAxis dates(KeyFormat::kDate);
  EXPECT_EQ(BoundClause(RangeBoundOf(dates, {Civil(2024), Civil(2025)})),
            "FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')");
  EXPECT_EQ(BoundClause(RangeBoundOf(dates, {})), "FOR VALUES FROM (MINVALUE) TO (MAXVALUE)");
  EXPECT_EQ(BoundClause(ListBound{{"a", "it's", std::nullopt}}),
            "FOR VALUES IN ('a', 'it''s', NULL)");
  EXPECT_EQ(BoundClause(HashBound{.modulus = 8, .remainder = 3}),
            "FOR VALUES WITH (MODULUS 8, REMAINDER 3)");
  EXPECT_EQ(BoundClause(DefaultBound{}), "DEFAULT");
}

TEST(Bound, KeepsTheTextsOfABoundMadeByHand) {
  EXPECT_EQ(BoundClause(RangeBound{.range = {0, 1}, .lower_text = "x'", .upper_text = "y"}),
            "FOR VALUES FROM ('x''') TO ('y')");
}

}  // namespace
}  // namespace teamscale::core

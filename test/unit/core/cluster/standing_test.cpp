#include "teamscale/core/cluster/standing.h"

#include <gtest/gtest.h>

namespace teamscale::core {
namespace {

const NodeReport kSelf = {.database = "boot 5", .cluster = "c", .node = 2, .epoch = 10};

NodeReport Other(NodeId node, std::int64_t epoch, const std::string& state = "active") {
  return {.database = "elsewhere",
          .cluster = "c",
          .node = node,
          .epoch = epoch,
          .state_of_asker = state};
}

Standing Of(const std::vector<NodeReport>& others) {
  return Judge(kSelf, kSelf, others, true).standing;
}

TEST(Judge, WhoDoesNotMeetItselfIsACopy) {
  NodeReport original = kSelf;
  original.database = "another boot 5";
  EXPECT_EQ(Judge(kSelf, original, {Other(1, 10)}, true).standing, Standing::kCopy);
  EXPECT_EQ(Judge(kSelf, std::nullopt, {Other(1, 10)}, true).standing, Standing::kLost);
}

TEST(Judge, UpToDateServes) {
  EXPECT_EQ(Of({Other(1, 10), Other(3, 10)}), Standing::kServing);
  EXPECT_EQ(Of({Other(1, 9)}), Standing::kServing);
  EXPECT_EQ(Judge(kSelf, kSelf, {}, false).standing, Standing::kServing);
}

TEST(Judge, WithoutAnyAnswerItIsAlone) {
  EXPECT_EQ(Of({}), Standing::kAlone);
  NodeReport no_node = Other(3, 0, "");
  no_node.cluster = "";
  NodeReport stranger = Other(3, 99, "");
  stranger.cluster = "another";
  EXPECT_EQ(Of({no_node, stranger}), Standing::kAlone);
}

TEST(Judge, WhoIsLeftOutIsHeardOnlyWhenItKnowsMore) {
  NodeReport left_out = Other(3, 9, "disabled");
  left_out.left_out = true;
  EXPECT_EQ(Of({left_out}), Standing::kAlone);
  EXPECT_EQ(Of({left_out, Other(1, 10)}), Standing::kServing);
  left_out.epoch = 11;
  EXPECT_EQ(Of({left_out, Other(1, 10)}), Standing::kDisabled);
}

TEST(Judge, AHigherEpochIsBelieved) {
  EXPECT_EQ(Of({Other(3, 11)}), Standing::kBehind);
  EXPECT_EQ(Of({Other(3, 11, "disabled")}), Standing::kDisabled);
  EXPECT_EQ(Of({Other(3, 11, "")}), Standing::kRemoved);
  EXPECT_EQ(Judge(kSelf, kSelf, {Other(3, 11), Other(4, 12)}, true).epoch, 12);
}

TEST(Judge, TheNewestIsBelievedWhateverTheOrder) {
  EXPECT_EQ(Of({Other(1, 10), Other(3, 12, "disabled")}), Standing::kDisabled);
  EXPECT_EQ(Of({Other(3, 12, "disabled"), Other(4, 13)}), Standing::kBehind);
  EXPECT_EQ(Of({Other(4, 13), Other(3, 12, "disabled")}), Standing::kBehind);
}

TEST(Judge, WhoKnowsLessIsNotBelieved) {
  EXPECT_EQ(Of({Other(1, 9, "disabled")}), Standing::kServing);
  EXPECT_EQ(Of({Other(1, 9, "")}), Standing::kServing);
}

// Both disabled the other at once: one of them goes on, the other stands down.
TEST(Judge, OfTwoEqualsTheLowerIdGoesOn) {
  EXPECT_EQ(Of({Other(1, 10, "disabled")}), Standing::kDisabled);
  EXPECT_EQ(Of({Other(3, 10, "disabled")}), Standing::kServing);
}

}  // namespace
}  // namespace teamscale::core

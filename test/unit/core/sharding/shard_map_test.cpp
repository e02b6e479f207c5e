#include "teamscale/core/sharding/shard_map.h"

#include <gtest/gtest.h>

#include <stdexcept>

namespace teamscale::core {
namespace {

ShardMap MapOf(std::vector<Bucket> buckets) {
  return ShardMap(7, 1, {{.id = 2, .name = "b"}, {.id = 1, .name = "a"}},
                  {{.id = 1, .method = Method::kHash}, {.id = 2, .method = Method::kList}},
                  std::move(buckets), {{.id = 5, .relation = 16400, .group = 1}});
}

Bucket HashBucket(BucketId id, NodeId node, std::uint32_t modulus, std::uint32_t remainder) {
  return {.id = id, .group = 1, .node = node, .modulus = modulus, .remainder = remainder};
}

TEST(ShardMap, FindsWhatItWasMadeOf) {
  ShardMap map = MapOf({HashBucket(1, 1, 1, 0)});
  EXPECT_EQ(map.epoch(), 7);
  EXPECT_EQ(map.local_node(), 1);
  EXPECT_EQ(map.FindNode(2)->name, "b");
  EXPECT_EQ(map.FindNode("a")->id, 1);
  EXPECT_EQ(map.FindNode(3), nullptr);
  EXPECT_EQ(map.FindNode("c"), nullptr);
  EXPECT_EQ(map.FindTable(16400)->id, 5);
  EXPECT_EQ(map.FindTable(16401), nullptr);
  EXPECT_EQ(map.FindGroup(2)->method, Method::kList);
  EXPECT_EQ(map.FindGroup(3), nullptr);
  EXPECT_EQ(map.FindBucket(1)->node, 1);
  EXPECT_EQ(map.FindBucket(2), nullptr);
}

TEST(ShardMap, TakesARowHashToTheBucketOfItsRemainder) {
  ShardMap map = MapOf({HashBucket(10, 1, 2, 0), HashBucket(11, 2, 2, 1)});
  EXPECT_EQ(map.FindHashBucket(1, 6)->id, 10);
  EXPECT_EQ(map.FindHashBucket(1, 7)->id, 11);
  EXPECT_EQ(map.FindHashBucket(2, 7), nullptr);
  EXPECT_EQ(map.FindHashBucket(9, 7), nullptr);
}

TEST(ShardMap, FindsABucketThatWasSplitByDoublingItsModulus) {
  ShardMap map = MapOf({HashBucket(10, 1, 2, 0), HashBucket(11, 2, 4, 1), HashBucket(12, 1, 8, 3),
                        HashBucket(13, 2, 8, 7)});
  EXPECT_EQ(map.FindHashBucket(1, 4)->id, 10);
  EXPECT_EQ(map.FindHashBucket(1, 5)->id, 11);
  EXPECT_EQ(map.FindHashBucket(1, 3 + 8)->id, 12);
  EXPECT_EQ(map.FindHashBucket(1, 7 + 8)->id, 13);
}

TEST(ShardMap, LeavesAGapWhereNoBucketCovers) {
  ShardMap map = MapOf({HashBucket(10, 1, 2, 0)});
  EXPECT_EQ(map.FindHashBucket(1, 1), nullptr);
}

TEST(ShardMap, GivesEveryListValueOfAHashForTheCallerToCompare) {
  ShardMap map =
      MapOf({{.id = 1, .group = 2, .node = 1, .values = {"eu", "us"}, .value_hashes = {5, 9}},
             {.id = 2, .group = 2, .node = 2, .values = {"asia"}, .value_hashes = {5}}});
  auto candidates = map.FindListCandidates(2, 5);
  ASSERT_EQ(candidates.size(), 2U);
  EXPECT_EQ(candidates[0].bucket->values[candidates[0].value], "eu");
  EXPECT_EQ(candidates[1].bucket->values[candidates[1].value], "asia");
  EXPECT_TRUE(map.FindListCandidates(2, 6).empty());
  EXPECT_TRUE(map.FindListCandidates(1, 5).empty());
}

TEST(ShardMap, RefusesPartsThatContradictEachOther) {
  EXPECT_THROW(MapOf({HashBucket(1, 1, 3, 0)}), std::invalid_argument);
  EXPECT_THROW(MapOf({HashBucket(1, 1, 2, 2)}), std::invalid_argument);
  EXPECT_THROW(MapOf({HashBucket(1, 3, 2, 1)}), std::invalid_argument);
  EXPECT_THROW(MapOf({HashBucket(1, 1, 2, 1), HashBucket(2, 2, 2, 1)}), std::invalid_argument);
  EXPECT_THROW(MapOf({{.id = 1, .group = 3, .node = 1, .modulus = 1}}), std::invalid_argument);
  EXPECT_THROW(MapOf({{.id = 1, .group = 2, .node = 1, .values = {"eu"}}}), std::invalid_argument);
}

}  // namespace
}  // namespace teamscale::core

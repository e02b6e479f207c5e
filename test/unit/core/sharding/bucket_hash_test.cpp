#include "teamscale/core/sharding/bucket_hash.h"

#include <gtest/gtest.h>

namespace teamscale::core {
namespace {

// hashint8extended(key, kPartitionSeed), and the remainder modulo 64 for which PostgreSQL 15's
// satisfies_hash_partition is true.
struct Known {
  std::int64_t hash;
  std::uint32_t remainder;
};

TEST(BucketHash, AgreesWithSatisfiesHashPartition) {
  for (Known known : {Known{-4403592609991167795, 48}, Known{5968994663651403477, 56},
                      Known{7363975540656877951, 34}, Known{-5017072347659237694, 37},
                      Known{4938542303000433043, 54}}) {
    EXPECT_EQ(Remainder(RowHash(static_cast<std::uint64_t>(known.hash)), 64), known.remainder);
  }
}

TEST(BucketHash, CombinesAsPostgresDoes) {
  EXPECT_EQ(CombineHash(0, 0), 0x49a0f4dd15e5a8e3U);
  EXPECT_EQ(CombineHash(1, 0), 1U ^ (0x49a0f4dd15e5a8e3U + (1ULL << 54)));
}

}  // namespace
}  // namespace teamscale::core

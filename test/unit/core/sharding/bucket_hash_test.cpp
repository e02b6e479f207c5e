#include "teamscale/core/sharding/bucket_hash.h"

#include <gtest/gtest.h>

namespace teamscale::core {
namespace {

TEST(BucketHash, IsPartOfTheDiskFormat) {
  // hashint8extended(42, seed) combined, as PostgreSQL 15 computes it.
  EXPECT_EQ(CombineHash(0, 0), 0x49a0f4dd15e5a8e3U);
  EXPECT_EQ(Remainder(RowHash(0), 64), 0x49a0f4dd15e5a8e3U % 64);
}

}  // namespace
}  // namespace teamscale::core

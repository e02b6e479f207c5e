#include "teamscale/core/cluster/gid.h"

#include <gtest/gtest.h>

namespace teamscale::core {
namespace {

const Gid kGid{.cluster = "5be9846e-5c9e-471b-a4b2-5bf279fe4b8c",
               .router = 12,
               .boot = 0xfedcba9876543210,
               .transaction = 4294967297,
               .random = 0xffffffffffffffff,
               .number = 3};

TEST(Gid, ReadsWhatItWrote) {
  EXPECT_EQ(FormatGid(kGid),
            "teamscale:5be9846e-5c9e-471b-a4b2-5bf279fe4b8c:12:fedcba9876543210:4294967297:"
            "ffffffffffffffff:3");
  EXPECT_EQ(ParseGid(FormatGid(kGid)), kGid);
}

TEST(Gid, FitsPostgresEvenAtItsLongest) {
  Gid longest = kGid;
  longest.router = -2147483647;
  longest.transaction = ~0ULL;
  longest.number = ~0U;
  EXPECT_LT(FormatGid(longest).size(), 200U);
}

TEST(Gid, BeginsWithItsRoutersPrefix) {
  EXPECT_TRUE(FormatGid(kGid).starts_with(GidPrefix(kGid.cluster, 12)));
  EXPECT_FALSE(FormatGid(kGid).starts_with(GidPrefix(kGid.cluster, 1)));
}

TEST(Gid, IsNotReadFromOtherNames) {
  for (const char* name :
       {"", "teamscale", "other:c:1:a:1:a:1", "teamscale::1:a:1:a:1", "teamscale:c:x:a:1:a:1",
        "teamscale:c:1:g:1:a:1", "teamscale:c:1:a:1:a", "teamscale:c:1:a:1:a:1:2",
        "teamscale:c:1:a:1 :a:1", "teamscale:c:1:a:-1:a:1"})
    EXPECT_EQ(ParseGid(name), std::nullopt) << name;
}

}  // namespace
}  // namespace teamscale::core

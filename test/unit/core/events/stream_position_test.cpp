#include "teamscale/core/events/stream_position.h"

#include <gtest/gtest.h>

namespace teamscale::core {
namespace {

TEST(Lsn, IsWrittenAsPostgresDoes) {
  char text[kLsnSize];
  auto written = [&](std::uint64_t lsn) { return std::string(text, WriteLsn(text, lsn)); };
  EXPECT_EQ(written(0), "0/0");
  EXPECT_EQ(written(0x16B374D848), "16/B374D848");
  EXPECT_EQ(written(~std::uint64_t{0}), "FFFFFFFF/FFFFFFFF");
  EXPECT_EQ(ParseLsn("16/B374D848"), 0x16B374D848U);
  for (const char* bad : {"", "/", "1", "1/", "/1", "1/1x", "1/100000000", "-1/0"})
    EXPECT_FALSE(ParseLsn(bad)) << bad;
}

TEST(StreamPoint, IsOrderedByCommitThenOrdinal) {
  EXPECT_LT((StreamPoint{1, 9}), (StreamPoint{2, 0}));
  EXPECT_LT((StreamPoint{2, 0}), (StreamPoint{2, 1}));
}

TEST(StreamPosition, ComesBackAsItWas) {
  StreamPosition position{.stream = "00ff", .points = {{0, {0x100, 7}}, {12, {0xABCDEF0123, 0}}}};
  std::string text = FormatPosition(position);
  EXPECT_EQ(text, "00ff 0=0/100:7 12=AB/CDEF0123:0");
  auto parsed = ParsePosition(text);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->stream, "00ff");
  EXPECT_EQ(parsed->points, position.points);
  EXPECT_TRUE(ParsePosition("00ff"));
}

TEST(StreamPosition, RefusesWhatItDidNotWrite) {
  for (const char* bad : {"", " 1=0/1:0", "s 1", "s 1=0/1", "s 1=0/1:", "s =0/1:0",
                          "s 1=0/1:0 1=0/2:0", "s 1=0/1:0 ", "s 1=0/1:-1", "s x=0/1:0"})
    EXPECT_FALSE(ParsePosition(bad)) << bad;
}

}  // namespace
}  // namespace teamscale::core

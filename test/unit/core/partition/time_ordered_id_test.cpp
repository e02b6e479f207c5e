#include "teamscale/core/partition/time_ordered_id.h"

#include <gtest/gtest.h>

#include <random>

#include "civil.h"

namespace teamscale::core {
namespace {

UuidBytes BytesOf(const std::string& uuid) {
  UuidBytes bytes{};
  std::size_t nibble = 0;
  for (char letter : uuid) {
    if (letter == '-') continue;
    int value = letter <= '9' ? letter - '0' : letter - 'a' + 10;
    bytes[nibble / 2] = static_cast<std::uint8_t>(bytes[nibble / 2] << 4 | value);
    nibble++;
  }
  return bytes;
}

TEST(TimeOrderedId, ReadsTheExamplesOfTheirSpecifications) {
  // RFC 9562, A.6: 2022-02-22 19:22:22 UTC.
  EXPECT_EQ(PointOfUuid(BytesOf("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")),
            Civil(2022, 2, 22, 19, 22) + 22 * kSecond);
  // The ULID specification's 01ARZ3NDEKTSV4RRFFQ69G5FAV.
  EXPECT_EQ(PointOfUlid("01ARZ3NDEKTSV4RRFFQ69G5FAV"), 1469922850259 * kMillisecond);
}

TEST(TimeOrderedId, WritesTheFirstIdOfAMillisecond) {
  EXPECT_EQ(FirstUuidOf(Civil(2022, 2, 22, 19, 22) + 22 * kSecond),
            "017f22e2-79b0-0000-0000-000000000000");
  EXPECT_EQ(FirstUuidOf(0), "00000000-0000-0000-0000-000000000000");
  EXPECT_EQ(FirstUlidOf(1469922850259 * kMillisecond), "01ARZ3NDEK0000000000000000");
  EXPECT_EQ(FirstUlidOf(0), "00000000000000000000000000");
}

TEST(TimeOrderedId, ComesBackFromItsTextInOrder) {
  std::mt19937_64 random(1);
  std::string last_uuid;
  std::string last_ulid;
  for (Point point = 0; point < Civil(9999); point += random() % (200 * kDay)) {
    Point millisecond = point - point % kMillisecond;
    std::string uuid = FirstUuidOf(point);
    std::string ulid = FirstUlidOf(point);
    ASSERT_EQ(PointOfUuid(BytesOf(uuid)), millisecond);
    ASSERT_EQ(PointOfUlid(ulid), millisecond);
    ASSERT_LE(last_uuid, uuid);
    ASSERT_LE(last_ulid, ulid);
    last_uuid = uuid;
    last_ulid = ulid;
  }
}

TEST(TimeOrderedId, KeepsTheOrderOfTextsThatAreNoUlids) {
  // Texts out of few letters meet each other's prefixes and neighbours.
  std::mt19937_64 random(2);
  const std::string letters = "0719AHIJKZz!~ \x7f\xc3";
  std::vector<std::string> texts = {"", "0", "01HK", "01HK!", "01HKU", "01HKa", "8", "~"};
  for (int i = 0; i < 3000; i++) {
    std::string text(random() % 13, ' ');
    for (char& letter : text) letter = letters[random() % letters.size()];
    texts.push_back(text);
  }
  std::sort(texts.begin(), texts.end());
  for (std::size_t i = 1; i < texts.size(); i++)
    ASSERT_LE(PointOfUlid(texts[i - 1]), PointOfUlid(texts[i])) << texts[i - 1] << " " << texts[i];
  EXPECT_EQ(PointOfUlid(""), 0);
  EXPECT_EQ(PointOfUlid("01HK"), PointOfUlid("01HK0000000000000000000000"));
  EXPECT_EQ(PointOfUlid("zz"), (kTimeOrderedIdMilliseconds - 1) * kMillisecond);
}

}  // namespace
}  // namespace teamscale::core

#include "teamscale/core/events/json_writer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace teamscale::core {
namespace {

template <typename... Arguments, typename Writer>
std::string Written(std::size_t room, Writer writer, Arguments... arguments) {
  std::vector<char> buffer(room);
  char* end = writer(buffer.data(), arguments...);
  EXPECT_LE(static_cast<std::size_t>(end - buffer.data()), room);
  return {buffer.data(), end};
}

std::string String(std::string_view text) {
  std::string written = Written(JsonStringBound(text.size()), WriteJsonString, text);
  EXPECT_EQ(written.size(), JsonStringSize(text));
  return written;
}

TEST(JsonString, EscapesWhatJsonWants) {
  EXPECT_EQ(String(""), R"("")");
  EXPECT_EQ(String("plain text of some length"), R"("plain text of some length")");
  EXPECT_EQ(String("a\"b\\c"), R"("a\"b\\c")");
  EXPECT_EQ(String("\b\f\n\r\t"), R"("\b\f\n\r\t")");
  EXPECT_EQ(String(std::string_view("\x01\x1f\x7f", 3)), "\"\\u0001\\u001f\\u007f\"");
  EXPECT_EQ(String("é 漢 😀"), "\"é 漢 😀\"");
}

TEST(JsonString, FindsWhatToEscapeAtEveryPlaceOfAWord) {
  for (char special : {'"', '\\', '\n', '\x01', '\x7f'}) {
    for (std::size_t at = 0; at < 20; ++at) {
      std::string text(20, 'x');
      text[at] = special;
      std::string written = String(text);
      EXPECT_NE(written.find('\\'), std::string::npos) << at;
      EXPECT_EQ(written.find('\\'), at + 1);
    }
  }
}

TEST(JsonInteger, IsANumberOrAString) {
  constexpr auto kLowest = std::numeric_limits<std::int64_t>::min();
  EXPECT_EQ(Written(kJsonIntegerSize, WriteJsonInteger, std::int64_t{0}, NumberForm::kNumber), "0");
  EXPECT_EQ(Written(kJsonIntegerSize, WriteJsonInteger, kLowest, NumberForm::kNumber),
            "-9223372036854775808");
  EXPECT_EQ(Written(kJsonIntegerSize, WriteJsonInteger, kLowest, NumberForm::kString),
            "\"-9223372036854775808\"");
}

std::string Double(double value) {
  return Written(
      kJsonFloatSize, [](char* out, double v) { return WriteJsonFloat(out, v); }, value);
}

TEST(JsonFloat, GivesTheSameFloatAgain) {
  for (double value : {0.0, 0.1, 1.0 / 3, 1e22, 1e-7, 5e-324, 1.7976931348623157e308, -2.5})
    EXPECT_EQ(std::strtod(Double(value).c_str(), nullptr), value) << Double(value);
  EXPECT_TRUE(std::signbit(std::strtod(Double(-0.0).c_str(), nullptr)));
  std::string single = Written(
      kJsonFloatSize, [](char* out, float v) { return WriteJsonFloat(out, v); }, 0.1F);
  EXPECT_EQ(single, "0.1");
}

TEST(JsonFloat, WhatIsNoNumberIsAString) {
  EXPECT_EQ(Double(std::numeric_limits<double>::quiet_NaN()), "\"NaN\"");
  EXPECT_EQ(Double(std::numeric_limits<double>::infinity()), "\"Infinity\"");
  EXPECT_EQ(Double(-std::numeric_limits<double>::infinity()), "\"-Infinity\"");
}

TEST(JsonNumeric, KeepsEveryDigit) {
  auto numeric = [](std::string_view text, NumberForm form) {
    return Written(JsonNumericBound(text.size()), WriteJsonNumeric, text, form);
  };
  EXPECT_EQ(numeric("1.500", NumberForm::kNumber), "1.500");
  EXPECT_EQ(numeric("-0.0000000000000000000000000001", NumberForm::kString),
            "\"-0.0000000000000000000000000001\"");
  EXPECT_EQ(numeric("NaN", NumberForm::kNumber), "\"NaN\"");
  EXPECT_EQ(numeric("-Infinity", NumberForm::kNumber), "\"-Infinity\"");
}

TEST(JsonBase64, IsThatOfRfc4648) {
  auto base64 = [](std::string_view bytes) {
    std::string written = Written(JsonBase64Size(bytes.size()), WriteJsonBase64, bytes);
    EXPECT_EQ(written.size(), JsonBase64Size(bytes.size()));
    return written;
  };
  EXPECT_EQ(base64(""), "\"\"");
  EXPECT_EQ(base64("f"), "\"Zg==\"");
  EXPECT_EQ(base64("fo"), "\"Zm8=\"");
  EXPECT_EQ(base64("foo"), "\"Zm9v\"");
  EXPECT_EQ(base64("foobar"), "\"Zm9vYmFy\"");
  EXPECT_EQ(base64(std::string_view("\xff\xfe\x00", 3)), "\"//4A\"");
}

TEST(JsonUuid, HasItsDashes) {
  unsigned char bytes[16];
  for (int i = 0; i < 16; ++i) bytes[i] = static_cast<unsigned char>(i * 17);
  EXPECT_EQ(Written(kJsonUuidSize, WriteJsonUuid, static_cast<const unsigned char*>(bytes)),
            "\"00112233-4455-6677-8899-aabbccddeeff\"");
}

std::string Date(std::int32_t days) { return Written(kJsonTimeSize, WriteJsonDate, days); }

TEST(JsonDate, CountsFrom2000) {
  EXPECT_EQ(Date(0), "\"2000-01-01\"");
  EXPECT_EQ(Date(-1), "\"1999-12-31\"");
  EXPECT_EQ(Date(59), "\"2000-02-29\"");
  EXPECT_EQ(Date(36584), "\"2100-03-01\"");
  EXPECT_EQ(Date(-730119), "\"0001-01-01\"");
  EXPECT_EQ(Date(-730120), "\"0001-12-31 BC\"");
  EXPECT_EQ(Date(-2451545), "\"4714-11-24 BC\"");    // the first that PostgreSQL has
  EXPECT_EQ(Date(2145031948), "\"5874897-12-31\"");  // and the last
  EXPECT_EQ(Date(std::numeric_limits<std::int32_t>::max()), "\"infinity\"");
  EXPECT_EQ(Date(std::numeric_limits<std::int32_t>::min()), "\"-infinity\"");
}

TEST(JsonTime, LeavesOutTrailingZeros) {
  auto time = [](std::int64_t us) { return Written(kJsonTimeSize, WriteJsonTime, us); };
  EXPECT_EQ(time(0), "\"00:00:00\"");
  EXPECT_EQ(time(86400000000), "\"24:00:00\"");
  EXPECT_EQ(time(3723000001), "\"01:02:03.000001\"");
  EXPECT_EQ(time(500000), "\"00:00:00.5\"");
  auto zoned = [](std::int64_t us, std::int32_t west) {
    return Written(kJsonTimeSize, WriteJsonTimeWithZone, us, west);
  };
  EXPECT_EQ(zoned(0, -7200), "\"00:00:00+02:00\"");
  EXPECT_EQ(zoned(0, 19800), "\"00:00:00-05:30\"");
  EXPECT_EQ(zoned(0, 0), "\"00:00:00+00:00\"");
  EXPECT_EQ(zoned(0, 57599), "\"00:00:00-15:59:59\"");
}

TEST(JsonTimestamp, IsIso8601) {
  auto plain = [](std::int64_t us) { return Written(kJsonTimeSize, WriteJsonTimestamp, us); };
  auto zoned = [](std::int64_t us) {
    return Written(kJsonTimeSize, WriteJsonTimestampWithZone, us);
  };
  EXPECT_EQ(plain(0), "\"2000-01-01T00:00:00\"");
  EXPECT_EQ(plain(-1), "\"1999-12-31T23:59:59.999999\"");
  EXPECT_EQ(zoned(1), "\"2000-01-01T00:00:00.000001Z\"");
  EXPECT_EQ(zoned(-730120 * 86400000000LL + 1), "\"0001-12-31T00:00:00.000001Z BC\"");
  EXPECT_EQ(zoned(std::numeric_limits<std::int64_t>::max()), "\"infinity\"");
  EXPECT_EQ(zoned(std::numeric_limits<std::int64_t>::min()), "\"-infinity\"");
}

}  // namespace
}  // namespace teamscale::core

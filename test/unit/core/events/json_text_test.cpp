#include "teamscale/core/events/json_text.h"

#include <gtest/gtest.h>

#include <string>

#include "teamscale/core/events/utf8.h"

namespace teamscale::core {
namespace {

TEST(JsonText, TakesWhatIsJson) {
  for (const char* text :
       {"null", " true ", "false", "0", "-0", "1.50", "1e5", "1E-05", "\"\"", "[]", "{}", "[1,[2]]",
        "{\"a\":{\"b\":[null]}}", "\"\\u00e9\\n\\/\"", "\"\\ud83d\\ude00\"", "\t[\n]\r", "\"é\""})
    EXPECT_EQ(ExamineJson(text), JsonText::kPortable) << text;
}

TEST(JsonText, RefusesWhatIsNot) {
  for (const char* text :
       {"",          " ",        "nul",   "nulls",   "01",       "1.",    ".5",
        "1e",        "+1",       "-",     "NaN",     "'a'",      "\"",    "\"\\x\"",
        "\"\\u12\"", "[1,]",     "[,]",   "{\"a\"}", "{\"a\":}", "{a:1}", "{\"a\":1,}",
        "[1",        "{\"a\":1", "[] []", "\"\n\"",  "\"\xff\"", "1 2"})
    EXPECT_EQ(ExamineJson(text), JsonText::kInvalid) << text;
}

TEST(JsonText, TellsHalfSurrogatesAndZeroBytes) {
  for (const char* text :
       {"\"\\u0000\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800x\"", "\"\\ud800\\n\"",
        "\"\\ud800\\ud800\\udc00\"", "{\"\\udfff\":1}", "[\"\\ud83d\\u0041\"]"})
    EXPECT_EQ(ExamineJson(text), JsonText::kUnusual) << text;
}

TEST(JsonText, HasALimitOfDepth) {
  std::string deep(kJsonDepth - 1, '[');
  deep += "1" + std::string(kJsonDepth - 1, ']');
  EXPECT_EQ(ExamineJson(deep), JsonText::kPortable);
  EXPECT_EQ(ExamineJson("[" + deep + "]"), JsonText::kInvalid);
  EXPECT_EQ(ExamineJson(std::string(1000000, '[')), JsonText::kInvalid);
}

TEST(Utf8, IsStrict) {
  for (const char* text : {"", "ascii only, long enough for words", "é", "漢字", "😀",
                           "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf"})
    EXPECT_TRUE(IsUtf8(text)) << text;
  for (const char* text :
       {"\x80", "\xc0\xaf", "\xc1\x81", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe6\xbc", "long enough for words \xff"})
    EXPECT_FALSE(IsUtf8(text)) << text;
  EXPECT_FALSE(IsUtf8(std::string_view("\0", 1)));
  EXPECT_FALSE(IsUtf8(std::string_view("12345678\0", 9)));
  EXPECT_FALSE(
      IsUtf8(std::string_view("1234\0"
                              "5678",
                              9)));
}

}  // namespace
}  // namespace teamscale::core

#include "teamscale/core/partition/quote.h"

#include <gtest/gtest.h>

#include <random>

namespace teamscale::core {
namespace {

// Reads one token as the server's scanner does, and says whether nothing is left of the text.
bool IsOneIdentifier(const std::string& text, const std::string& name) {
  std::string read;
  if (text.empty() || text[0] != '"') return false;
  for (std::size_t i = 1; i < text.size(); i++) {
    if (text[i] != '"') {
      read += text[i];
    } else if (i + 1 < text.size() && text[i + 1] == '"') {
      read += text[++i];
    } else {
      return i + 1 == text.size() && read == name;
    }
  }
  return false;
}

bool IsOneLiteral(const std::string& text, const std::string& value, bool standard_strings) {
  std::string read;
  bool escapes = text[0] == 'E' || !standard_strings;
  std::size_t start = text[0] == 'E' ? 1 : 0;
  if (text[start] != '\'') return false;
  for (std::size_t i = start + 1; i < text.size(); i++) {
    if (text[i] == '\\' && escapes) {
      if (i + 1 == text.size()) return false;
      read += text[++i];
    } else if (text[i] != '\'') {
      read += text[i];
    } else if (i + 1 < text.size() && text[i + 1] == '\'') {
      read += text[++i];
    } else {
      return i + 1 == text.size() && read == value;
    }
  }
  return false;
}

TEST(Quote, MakesOneIdentifierOfAnyName) {
  EXPECT_EQ(QuoteIdentifier("events"), "\"events\"");
  EXPECT_EQ(QuoteIdentifier("a\"; DROP TABLE b; --"), "\"a\"\"; DROP TABLE b; --\"");
  EXPECT_EQ(QuoteName({.schema = "a.b", .name = "c\"d"}), "\"a.b\".\"c\"\"d\"");
}

TEST(Quote, MakesOneLiteralOfAnyValue) {
  EXPECT_EQ(QuoteLiteral("it's"), "'it''s'");
  EXPECT_EQ(QuoteLiteral("a\\"), "E'a\\\\'");
}

TEST(Quote, LetsNothingOutOfItsQuotes) {
  std::mt19937_64 random(3);
  const std::string letters = "a\"'\\;- \n$E%\xc3\xa9";
  for (int i = 0; i < 20000; i++) {
    std::string text(random() % 9, ' ');
    for (char& letter : text) letter = letters[random() % letters.size()];
    ASSERT_TRUE(IsOneIdentifier(QuoteIdentifier(text), text)) << text;
    ASSERT_TRUE(IsOneLiteral(QuoteLiteral(text), text, true)) << text;
    ASSERT_TRUE(IsOneLiteral(QuoteLiteral(text), text, false)) << text;
  }
}

}  // namespace
}  // namespace teamscale::core

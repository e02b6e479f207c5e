#include "teamscale/core/events/table_selection.h"

#include <gtest/gtest.h>

#include <array>

namespace teamscale::core {
namespace {

bool Matches(std::string_view pattern, std::string_view schema, std::string_view table) {
  NamePattern parsed;
  EXPECT_TRUE(NamePattern::Parse(pattern, &parsed)) << pattern;
  return parsed.Matches(std::array{schema, table});
}

TEST(NamePattern, StarsAndQuestionMarksStayWithinAPart) {
  EXPECT_TRUE(Matches("public.*", "public", "team"));
  EXPECT_FALSE(Matches("public.*", "other", "team"));
  EXPECT_TRUE(Matches("*.t?am*", "s", "teams"));
  EXPECT_TRUE(Matches("*.??", "s", "éä"));
  EXPECT_FALSE(Matches("*.?", "s", ""));
  EXPECT_TRUE(Matches("a*b*c.x", "aXbYbZc", "x"));
  EXPECT_FALSE(Matches("a*b*c.x", "aXbYbZ", "x"));
  EXPECT_FALSE(Matches("*", "a", "b"));
}

TEST(NamePattern, QuotedPartsStandForThemselves) {
  EXPECT_TRUE(Matches("\"a.b*\".\"q\"\"q\"", "a.b*", "q\"q"));
  EXPECT_FALSE(Matches("\"a*\".t", "ab", "t"));
}

TEST(NamePattern, RefusesWhatCannotBeRead) {
  NamePattern pattern;
  for (const char* bad : {"", ".", "a.", ".a", "a..b", "\"a", "\"a\"b", "a\"b", "\"\".t"})
    EXPECT_FALSE(NamePattern::Parse(bad, &pattern)) << bad;
}

TEST(TableSelection, HasEveryTableByDefault) {
  TableSelection selection;
  EXPECT_TRUE(selection.HasTable("any", "thing"));
  EXPECT_TRUE(selection.HasColumn("any", "thing", "column"));
  EXPECT_EQ(selection.RowFilter("any", "thing"), "");
}

TEST(TableSelection, ExcludesAfterIncluding) {
  TableSelection selection;
  EXPECT_FALSE(selection.IncludeTables("sales.*, \"odd,name\".t"));
  EXPECT_FALSE(selection.ExcludeTables("*.*_log"));
  EXPECT_TRUE(selection.HasTable("sales", "order"));
  EXPECT_FALSE(selection.HasTable("sales", "order_log"));
  EXPECT_TRUE(selection.HasTable("odd,name", "t"));
  EXPECT_FALSE(selection.HasTable("public", "order"));
}

TEST(TableSelection, NamedColumnsAreOfTheTablesNamed) {
  TableSelection selection;
  EXPECT_FALSE(selection.IncludeColumns("s.t.a, s.t.b"));
  EXPECT_FALSE(selection.ExcludeColumns("*.*.secret*"));
  EXPECT_TRUE(selection.HasColumn("s", "t", "a"));
  EXPECT_FALSE(selection.HasColumn("s", "t", "c"));
  EXPECT_TRUE(selection.HasColumn("s", "other", "c"));
  EXPECT_FALSE(selection.HasColumn("s", "other", "secret_key"));
}

TEST(TableSelection, AllFiltersOfATableMustHold) {
  TableSelection selection;
  EXPECT_FALSE(selection.FilterRows("s.* WHERE region = 'eu where'"));
  EXPECT_FALSE(selection.FilterRows("\"s\".t Where a > 1"));
  EXPECT_EQ(selection.RowFilter("s", "t"), "(region = 'eu where') AND (a > 1)");
  EXPECT_EQ(selection.RowFilter("s", "u"), "(region = 'eu where')");
  EXPECT_EQ(selection.RowFilter("x", "t"), "");
  for (const char* bad : {"", "s.t", "s.t WHERE ", "t WHERE a", "s.t WHEREa"})
    EXPECT_TRUE(selection.FilterRows(bad)) << bad;
}

TEST(TableSelection, NamesThePatternThatCannotBeRead) {
  TableSelection selection;
  EXPECT_EQ(selection.IncludeTables("a.b, c"), "c");
  EXPECT_EQ(selection.IncludeTables(""), "");
  EXPECT_EQ(selection.ExcludeColumns("a.b"), "a.b");
}

}  // namespace
}  // namespace teamscale::core

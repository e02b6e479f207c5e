#include <gtest/gtest.h>

#include "model.h"

namespace teamscale::core {
namespace {

PartitionPolicy ListPolicy(std::vector<ListBound> sets = {}) {
  return {.key = {.column = "value"}, .rules = ListRules{.sets = std::move(sets)}};
}

TEST(PlanList, GivesEachValueThatTurnsUpItsPartition) {
  Model model(ListPolicy());
  EXPECT_EQ(Brief(model.Run(0)), "create t_default DEFAULT\n");
  model.Insert({.value = "eu"});
  model.Insert({.value = "eu"});
  model.Insert({.value = std::nullopt});
  Plan plan = model.Run(0);
  EXPECT_EQ(Brief(plan),
            "drain t_null FOR VALUES IN (NULL)\n"
            "drain t_eu FOR VALUES IN ('eu')\n");
  EXPECT_EQ(plan.actions[1].reason, "The default partition has 2 rows of this value.");
  EXPECT_EQ(Brief(model.Run(0)), "");
  EXPECT_EQ(model.Rows().size(), 3U);
}

TEST(PlanList, MakesNoMorePartitionsThanItMay) {
  PartitionPolicy policy = ListPolicy();
  std::get<ListRules>(policy.rules).most_values = 2;
  Model model(policy);
  model.Add("by_hand", ListBound{{"x", "y"}});
  model.Run(0);
  for (const char* value : {"a", "b", "c", "x"}) model.Insert({.value = value});
  Plan plan = model.Run(0);
  EXPECT_EQ(Brief(plan), "drain t_a FOR VALUES IN ('a')\nnotice t\nnotice t\n");
  EXPECT_EQ(plan.actions[1].reason,
            "The default partition has 1 row of value 'b', which would be partition 3: they stay "
            "there.");
  EXPECT_FALSE(HasWork(model.Run(0)));
}

TEST(PlanList, MakesItsSetsAndShowsWhatIsInNone) {
  Model model(ListPolicy({{{"de", "fr"}}, {{"us"}}}));
  model.Run(0);
  EXPECT_EQ(model.table().leaves.size(), 3U);
  model.Insert({.value = "mars"});
  Plan plan = model.Run(0);
  EXPECT_EQ(Brief(plan), "notice t\n");
  EXPECT_EQ(
      plan.actions[0].reason,
      "The default partition has 1 row of value 'mars', which is in no set of the policy: they "
      "stay there.");
}

TEST(PlanList, DrainsASetThatComesLater) {
  Model model(ListPolicy({{{"us"}}}));
  model.Run(0);
  model.Insert({.value = "de"});
  std::get<ListRules>(model.policy().rules).sets.push_back({{"de", "fr"}});
  EXPECT_EQ(Brief(model.Run(0)), "drain t_de_fr FOR VALUES IN ('de', 'fr')\n");
  EXPECT_EQ(Brief(model.Run(0)), "");
}

TEST(PlanList, MakesOnlyTheValuesOfASetThatNobodyHas) {
  Model model(ListPolicy({{{"de", "fr", "it"}}}));
  model.Add("by_hand", ListBound{{"fr", "ch"}});
  model.Run(0);
  EXPECT_NE(model.Describe().find("t_de_it FOR VALUES IN ('de', 'it')"), std::string::npos);
}

TEST(PlanList, CountsWhatARewriteWillMake) {
  Model model(ListPolicy());
  model.Run(0);
  model.Insert({.value = "eu"});
  model.rewrites = {{.id = 5,
                     .operation = "drain",
                     .parent = 1,
                     .parent_name = {"public", "t"},
                     .targets = {ListBound{{"eu"}}}}};
  EXPECT_EQ(Brief(model.Run(0)), "resume rewrite t\n");
  EXPECT_EQ(Brief(model.Run(0)), "");
}

TEST(PlanList, MovesLeavesToTheTablespaceOfAnyAge) {
  PartitionPolicy policy = ListPolicy();
  policy.tablespaces = {{Interval{}, "fast"}};
  Model model(policy);
  model.Add("by_hand", ListBound{{"x"}});
  EXPECT_EQ(Brief(model.Run(0)), "create t_default DEFAULT\nmove in place by_hand\n");
  EXPECT_EQ(model.Describe(), "t_default DEFAULT in fast\nby_hand FOR VALUES IN ('x') in fast\n");
}

}  // namespace
}  // namespace teamscale::core

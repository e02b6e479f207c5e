#include <gtest/gtest.h>

#include "model.h"

namespace teamscale::core {
namespace {

PartitionPolicy HashPolicy(std::uint32_t modulus) {
  return {.key = {.column = "hash"}, .rules = HashRules{.modulus = modulus}};
}

Bound Hash(std::uint32_t modulus, std::uint32_t remainder) {
  return HashBound{.modulus = modulus, .remainder = remainder};
}

TEST(PlanHash, MakesEveryRemainder) {
  Model model(HashPolicy(3));
  EXPECT_EQ(Brief(model.Run(0)),
            "create t_0 FOR VALUES WITH (MODULUS 3, REMAINDER 0)\n"
            "create t_1 FOR VALUES WITH (MODULUS 3, REMAINDER 1)\n"
            "create t_2 FOR VALUES WITH (MODULUS 3, REMAINDER 2)\n");
  EXPECT_EQ(Brief(model.Run(0)), "");
}

TEST(PlanHash, SplitsWhatIsOfASmallerModulus) {
  Model model(HashPolicy(2));
  model.Run(0);
  for (std::uint32_t hash = 0; hash < 16; hash++) model.Insert({.hash = hash});
  std::get<HashRules>(model.policy().rules).modulus = 4;
  Plan plan = model.Run(0);
  EXPECT_EQ(Brief(plan),
            "split t_0 t_0_2 FOR VALUES WITH (MODULUS 4, REMAINDER 0) "
            "t_2 FOR VALUES WITH (MODULUS 4, REMAINDER 2)\n"
            "split t_1 t_1_2 FOR VALUES WITH (MODULUS 4, REMAINDER 1) "
            "t_3 FOR VALUES WITH (MODULUS 4, REMAINDER 3)\n");
  EXPECT_EQ(plan.actions[0].reason, "Its modulus is 2, and the policy's is 4.");
  EXPECT_EQ(Brief(model.Run(0)), "");
  EXPECT_EQ(model.Rows().size(), 16U);
}

TEST(PlanHash, KeepsWhatIsOfAGreaterModulus) {
  Model model(HashPolicy(2));
  model.Add("a", Hash(4, 0));
  model.Add("b", Hash(8, 5));
  EXPECT_EQ(Brief(model.Run(0)),
            "create t_2 FOR VALUES WITH (MODULUS 8, REMAINDER 2)\n"
            "create t_6 FOR VALUES WITH (MODULUS 8, REMAINDER 6)\n"
            "create t_1 FOR VALUES WITH (MODULUS 8, REMAINDER 1)\n"
            "create t_3 FOR VALUES WITH (MODULUS 8, REMAINDER 3)\n"
            "create t_7 FOR VALUES WITH (MODULUS 8, REMAINDER 7)\n");
  EXPECT_EQ(Brief(model.Run(0)), "");
}

TEST(PlanHash, MakesNothingBesideAModulusThatDoesNotFit) {
  Model model(HashPolicy(4));
  model.Add("a", Hash(6, 0));
  Plan plan = model.Run(0);
  EXPECT_EQ(Brief(plan), "notice t\n");
  EXPECT_EQ(
      plan.actions[0].reason,
      "There is a partition of modulus 6, and the policy's is 4: neither is a multiple of the "
      "other, and nothing is made.");
}

TEST(PlanHash, DoesNotSplitWhatMustStay) {
  Model model(HashPolicy(2));
  model.Add("a", Hash(1, 0)).leaf.is_referenced = true;
  Plan plan = model.Run(0);
  EXPECT_EQ(Brief(plan), "blocked a\n");
  EXPECT_EQ(plan.actions[0].reason,
            "Its modulus is 1, and the policy's is 2. It stays: a foreign key references this very "
            "table.");
}

TEST(PlanHash, LeavesASplitThatWasInterruptedToItsRewrite) {
  Model model(HashPolicy(2));
  PartitionId id = model.Add("a", Hash(1, 0)).leaf.id;
  model.rewrites = {{.id = 5,
                     .operation = "split",
                     .parent = 1,
                     .parent_name = {"public", "t"},
                     .sources = {id},
                     .targets = {Hash(2, 0), Hash(2, 1)}}};
  EXPECT_EQ(Brief(model.MakePlan(0)), "resume rewrite t\n");
}

}  // namespace
}  // namespace teamscale::core

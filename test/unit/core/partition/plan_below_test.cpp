// Policies below policies.
#include <gtest/gtest.h>

#include "civil.h"
#include "model.h"

namespace teamscale::core {
namespace {

PartitionPolicy Ranges(Step step) {
  return {.key = {.column = "at"},
          .rules = RangeRules{.calendar = PartitionCalendar(KeyAxis(KeyFormat::kDate),
                                                            std::make_shared<FixedZone>(),
                                                            {{.step = step}}),
                              .premake = 1},
          .default_partition = false};
}

PartitionPolicy Monthly() { return Ranges({StepUnit::kMonths, 1}); }
PartitionPolicy Hash(std::uint32_t modulus) {
  return {.key = {.column = "hash"}, .rules = HashRules{.modulus = modulus}};
}
PartitionPolicy List() { return {.key = {.column = "value"}, .rules = ListRules{}}; }

PartitionPolicy Over(PartitionPolicy upper, PartitionPolicy below) {
  upper.below = std::make_shared<PartitionPolicy>(std::move(below));
  return upper;
}

TEST(PlanBelow, MakesRangesUnderHash) {
  Model model(Over(Hash(2), Monthly()));
  Plan plan = model.Run(Civil(2024, 1, 15));
  EXPECT_EQ(model.Describe(),
            "t_0 FOR VALUES WITH (MODULUS 2, REMAINDER 0)\n"
            "  t_0_2024_01 FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')\n"
            "  t_0_2024_02 FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')\n"
            "t_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1)\n"
            "  t_1_2024_01 FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')\n"
            "  t_1_2024_02 FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')\n");
  EXPECT_EQ(Brief(model.Run(Civil(2024, 1, 15))), "");
  plan = model.Run(Civil(2024, 2, 1));
  EXPECT_EQ(Brief(plan),
            "create t_0_2024_03 FOR VALUES FROM ('2024-03-01') TO ('2024-04-01')\n"
            "create t_1_2024_03 FOR VALUES FROM ('2024-03-01') TO ('2024-04-01')\n");
  EXPECT_EQ(plan.actions[0].parent.name.name, "t_0");
  EXPECT_EQ(plan.ranges_ahead, 0);
}

TEST(PlanBelow, ExpiresUnderHashAndSaysOnceThatTheClockIsNotBelieved) {
  PartitionPolicy below = Monthly();
  std::get<RangeRules>(below.rules).retention = {.age = Interval{.months = 1}};
  Model model(Over(Hash(2), below));
  model.Run(Civil(2024, 1, 15));
  EXPECT_EQ(Brief(model.Run(Civil(2024, 2, 15))),
            "create t_0_2024_03 FOR VALUES FROM ('2024-03-01') TO ('2024-04-01')\n"
            "create t_1_2024_03 FOR VALUES FROM ('2024-03-01') TO ('2024-04-01')\n");
  EXPECT_EQ(Brief(model.Run(Civil(2024, 3, 1))),
            "create t_0_2024_04 FOR VALUES FROM ('2024-04-01') TO ('2024-05-01')\n"
            "create t_1_2024_04 FOR VALUES FROM ('2024-04-01') TO ('2024-05-01')\n"
            "detach t_0_2024_01\ndrop t_0_2024_01\n"
            "detach t_1_2024_01\ndrop t_1_2024_01\n");
  Plan plan = model.Run(Civil(2030));
  EXPECT_EQ(plan.actions[0].kind, ActionKind::kGuard);
  EXPECT_EQ(plan.actions[1].kind, ActionKind::kCreate);
  for (const Action& action : plan.actions) EXPECT_NE(action.kind, ActionKind::kDetach);
}

TEST(PlanBelow, MakesHashUnderRanges) {
  Model model(Over(Monthly(), Hash(2)));
  model.Run(Civil(2024, 1, 15));
  EXPECT_NE(model.Describe().find("t_2024_02 FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')\n"
                                  "  t_2024_02_0 FOR VALUES WITH (MODULUS 2, REMAINDER 0)\n"
                                  "  t_2024_02_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1)\n"),
            std::string::npos);
  EXPECT_EQ(Brief(model.Run(Civil(2024, 1, 15))), "");
}

TEST(PlanBelow, MakesAllDaysOfAMonthOfTheSameColumn) {
  PartitionPolicy below = Ranges({StepUnit::kDays, 7});
  below.name_template = "{table}_{from}";
  Model model(Over(Monthly(), below));
  model.Run(Civil(2024, 2, 15));
  EXPECT_NE(model.Describe().find(
                "t_2024_03 FOR VALUES FROM ('2024-03-01') TO ('2024-04-01')\n"
                "  t_2024_03_2024_03_01 FOR VALUES FROM ('2024-03-01') TO ('2024-03-04')\n"
                "  t_2024_03_2024_03_04 FOR VALUES FROM ('2024-03-04') TO ('2024-03-11')\n"
                "  t_2024_03_2024_03_11 FOR VALUES FROM ('2024-03-11') TO ('2024-03-18')\n"
                "  t_2024_03_2024_03_18 FOR VALUES FROM ('2024-03-18') TO ('2024-03-25')\n"
                "  t_2024_03_2024_03_25 FOR VALUES FROM ('2024-03-25') TO ('2024-04-01')\n"),
            std::string::npos);
  EXPECT_EQ(Brief(model.Run(Civil(2024, 2, 15))), "");
}

TEST(PlanBelow, DrainsIntoAPartitionWithADefaultOfItsOwn) {
  PartitionPolicy below = Monthly();
  below.default_partition = true;
  Model model(Over(List(), below));
  model.Run(Civil(2024, 1, 15));
  model.Insert({.at = Civil(2024, 1, 20), .value = "a"});
  model.Insert({.at = Civil(2023, 12, 20), .value = "a"});
  EXPECT_EQ(Brief(model.Run(Civil(2024, 1, 15))), "drain t_a FOR VALUES IN ('a')\n");
  EXPECT_EQ(Brief(model.Run(Civil(2024, 1, 15))),
            "drain t_a_2023_12 FOR VALUES FROM ('2023-12-01') TO ('2024-01-01')\n");
  EXPECT_EQ(Brief(model.Run(Civil(2024, 1, 15))), "");
}

TEST(PlanBelow, SplitsWhatIsPartitionedItselfAsItThenIs) {
  Model model(Over(Hash(1), Monthly()));
  model.Run(Civil(2024, 1, 15));
  for (std::uint32_t hash = 0; hash < 8; hash++)
    ASSERT_TRUE(model.Insert({.at = Civil(2024, 1, 20), .hash = hash}));
  std::get<HashRules>(model.policy().rules).modulus = 2;
  Plan plan = model.Run(Civil(2024, 2, 15));
  EXPECT_EQ(plan.actions[0].kind, ActionKind::kCreate);
  EXPECT_EQ(plan.actions[1].kind, ActionKind::kSplit);
  EXPECT_TRUE(plan.actions[1].created[0].parts.empty());
  EXPECT_EQ(model.Rows().size(), 8U);
  EXPECT_EQ(Brief(model.Run(Civil(2024, 2, 15))), "");
}

TEST(PlanBelow, StoresWhatIsBelowWhereItsAgeBelongs) {
  PartitionPolicy upper = Monthly();
  upper.tablespaces = {{Interval{}, "fast"}, {Interval{.months = 1}, "bulk"}};
  Model model(Over(upper, Hash(1)));
  model.Run(Civil(2024, 1, 15));
  EXPECT_NE(model.Describe().find("  t_2024_01_0 FOR VALUES WITH (MODULUS 1, REMAINDER 0) in fast"),
            std::string::npos);
  model.Run(Civil(2024, 2, 10));
  Plan plan = model.Run(Civil(2024, 3, 1));
  EXPECT_EQ(plan.actions.back().kind, ActionKind::kMoveInPlace);
  EXPECT_EQ(plan.actions.back().object.name.name, "t_2024_01_0");
  EXPECT_EQ(plan.actions.back().tablespace, "bulk");
}

TEST(PlanBelow, LeavesAPlainPartitionThatSomebodyMadePlain) {
  Model model(Over(Hash(2), Monthly()));
  model.Add("plain", HashBound{.modulus = 2, .remainder = 1});
  model.Run(Civil(2024, 1, 15));
  EXPECT_NE(model.Describe().find("plain FOR VALUES WITH (MODULUS 2, REMAINDER 1)\n"),
            std::string::npos);
  EXPECT_EQ(Brief(model.Run(Civil(2024, 1, 15))), "");
}

}  // namespace
}  // namespace teamscale::core

#include <gtest/gtest.h>

#include "civil.h"
#include "model.h"
#include "teamscale/core/partition/plan.h"

namespace teamscale::core {
namespace {

constexpr Step kMonthly{StepUnit::kMonths, 1};
constexpr Step kDaily{StepUnit::kDays, 1};
const KeyAxis kDates(KeyFormat::kDate);

PartitionPolicy PolicyOf(std::vector<Segment> segments, KeyFormat format = KeyFormat::kDate) {
  return {
      .key = {.column = "at"},
      .rules = RangeRules{.calendar = PartitionCalendar(
                              KeyAxis(format), std::make_shared<FixedZone>(), std::move(segments)),
                          .premake = 2},
      .default_partition = false};
}

PartitionPolicy Monthly() { return PolicyOf({{.step = kMonthly}}); }

RangeRules& Rules(Model& model) { return std::get<RangeRules>(model.policy().rules); }

Bound Dates(Point lower, Point upper) {
  return RangeBoundOf(kDates, {.lower = lower, .upper = upper});
}

TEST(PlanRanges, MakesTheRangeOfNowAndThoseAhead) {
  Model model(Monthly());
  Plan plan = model.Run(Civil(2024, 1, 15));
  EXPECT_EQ(Brief(plan),
            "create t_2024_01 FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')\n"
            "create t_2024_02 FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')\n"
            "create t_2024_03 FOR VALUES FROM ('2024-03-01') TO ('2024-04-01')\n");
  EXPECT_EQ(plan.ranges_ahead, -1);
  EXPECT_EQ(plan.actions[0].lock, "SHARE UPDATE EXCLUSIVE on \"public\".\"t\"");
  EXPECT_EQ(plan.actions[0].reason, "It is the range of now.");
  EXPECT_EQ(plan.actions[1].reason, "2 ranges of 1 month are kept ahead.");
  plan = model.Run(Civil(2024, 1, 15));
  EXPECT_EQ(Brief(plan), "");
  EXPECT_EQ(plan.ranges_ahead, 2);
  EXPECT_EQ(model.MakePlan(Civil(2024, 3, 1)).ranges_ahead, 0);
}

TEST(PlanRanges, BeginsWhereThePolicySays) {
  Model model(Monthly());
  Rules(model).start_at = Civil(2023, 11, 11);
  model.Run(Civil(2024, 1, 15));
  EXPECT_EQ(model.table().leaves.size(), 5U);
  EXPECT_TRUE(model.Insert({.at = Civil(2023, 11)}));
  EXPECT_FALSE(model.Insert({.at = Civil(2023, 10, 31)}));
}

TEST(PlanRanges, FillsGapsAroundWhatOthersMade) {
  Model model(Monthly());
  model.Add("odd", Dates(Civil(2023, 11, 20), Civil(2023, 12, 5)));
  model.Add("wide", Dates(Civil(2024, 1, 10), Civil(2024, 2, 20)));
  EXPECT_EQ(Brief(model.Run(Civil(2024, 2, 10))),
            "create t_2024_02 FOR VALUES FROM ('2024-02-20') TO ('2024-03-01')\n"
            "create t_2024_03 FOR VALUES FROM ('2024-03-01') TO ('2024-04-01')\n"
            "create t_2024_04 FOR VALUES FROM ('2024-04-01') TO ('2024-05-01')\n"
            "create t_2024_01 FOR VALUES FROM ('2024-01-01') TO ('2024-01-10')\n"
            "create t_2023_12 FOR VALUES FROM ('2023-12-05') TO ('2024-01-01')\n");
  EXPECT_EQ(Brief(model.Run(Civil(2024, 2, 10))), "");
}

TEST(PlanRanges, SaysThatALeafWithoutAnEndTakesAllToCome) {
  Model model(Monthly());
  model.Add("rest", RangeBoundOf(kDates, {.lower = Civil(2024)}));
  Plan plan = model.Run(Civil(2024, 2, 10));
  EXPECT_EQ(Brief(plan), "notice t\n");
  EXPECT_EQ(plan.actions[0].reason,
            "Partition \"public\".\"rest\" has no upper bound: all rows to come are its own.");
}

TEST(PlanRanges, DetachesAndDropsWhatIsOlderThanTheRetention) {
  Model model(Monthly());
  Rules(model).retention = {.age = Interval{.months = 2}};
  model.Run(Civil(2024, 1, 15));
  Plan plan = model.Run(Civil(2024, 3, 31));
  EXPECT_EQ(Brief(plan),
            "create t_2024_04 FOR VALUES FROM ('2024-04-01') TO ('2024-05-01')\n"
            "create t_2024_05 FOR VALUES FROM ('2024-05-01') TO ('2024-06-01')\n");
  plan = model.Run(Civil(2024, 4, 1));
  EXPECT_EQ(Brief(plan),
            "create t_2024_06 FOR VALUES FROM ('2024-06-01') TO ('2024-07-01')\n"
            "detach t_2024_01\n"
            "drop t_2024_01\n");
  EXPECT_TRUE(plan.actions[1].concurrently);
  EXPECT_EQ(plan.actions[1].reason,
            "Its range ends at '2024-02-01', and rows are kept from '2024-02-01' on.");
  EXPECT_EQ(
      plan.actions[1].lock,
      "SHARE UPDATE EXCLUSIVE on \"public\".\"t\", ACCESS EXCLUSIVE on \"public\".\"t_2024_01\"");
}

TEST(PlanRanges, KeepsSoManyRanges) {
  Model model(Monthly());
  Rules(model).retention = {.age = std::int64_t{1}, .on_expiry = OnExpiry::kDetach};
  model.Run(Civil(2024, 1, 15));
  EXPECT_EQ(Brief(model.MakePlan(Civil(2024, 2, 29))),
            "create t_2024_04 FOR VALUES FROM ('2024-04-01') TO ('2024-05-01')\n");
  model.policy().last_run = Civil(2024, 3, 1);
  Plan plan = model.MakePlan(Civil(2024, 3, 1));
  EXPECT_EQ(plan.actions.back().kind, ActionKind::kDetach);
  EXPECT_EQ(plan.actions.back().object.name.name, "t_2024_01");
}

TEST(PlanRanges, DetachesUnderALockBesideADefaultPartition) {
  PartitionPolicy policy = Monthly();
  policy.default_partition = true;
  Model model(policy);
  Rules(model).retention = {
      .age = Interval{.months = 1}, .on_expiry = OnExpiry::kMove, .schema = "old"};
  Plan plan = model.Run(Civil(2024, 1, 15));
  EXPECT_EQ(plan.actions.back().created[0].name.name, "t_default");
  plan = model.Run(Civil(2024, 3, 1));
  ASSERT_EQ(plan.actions.size(), 4U);
  EXPECT_EQ(
      plan.actions[0].lock,
      "SHARE UPDATE EXCLUSIVE on \"public\".\"t\", ACCESS EXCLUSIVE on \"public\".\"t_default\"");
  EXPECT_EQ(plan.actions[2].kind, ActionKind::kDetach);
  EXPECT_FALSE(plan.actions[2].concurrently);
  EXPECT_EQ(plan.actions[2].lock,
            "ACCESS EXCLUSIVE on \"public\".\"t\", ACCESS EXCLUSIVE on \"public\".\"t_2024_01\", "
            "ACCESS EXCLUSIVE on \"public\".\"t_default\"");
  EXPECT_EQ(plan.actions[3].kind, ActionKind::kMoveToSchema);
  EXPECT_EQ(plan.actions[3].schema, "old");
}

TEST(PlanRanges, LeavesWhatMustNotBeTakenAway) {
  Model model(Monthly());
  Rules(model).retention = {.age = Interval{.months = 1}};
  model.Add("referenced", Dates(Civil(2023, 1), Civil(2023, 2))).leaf.is_referenced = true;
  model.Add("published", Dates(Civil(2023, 2), Civil(2023, 3))).leaf.is_published = true;
  model.Run(Civil(2024, 1, 15));
  Plan plan = model.Run(Civil(2024, 1, 15));
  EXPECT_EQ(Brief(plan), "blocked referenced\nblocked published\n");
  EXPECT_EQ(plan.actions[0].reason,
            "Its range ends at '2023-02-01', and rows are kept from '2023-12-15' on. It stays: a "
            "foreign key references this very table.");
}

TEST(PlanRanges, DrainsTheDefaultPartitionRangeByRange) {
  PartitionPolicy policy = Monthly();
  policy.default_partition = true;
  Model model(policy);
  model.Run(Civil(2024, 1, 15));
  model.Insert({.at = Civil(2023, 10, 1)});
  model.Insert({.at = Civil(2024, 4, 3)});
  model.Insert({.at = Civil(2024, 4, 9)});
  model.Insert({.at = Civil(2024, 7, 1)});
  Plan plan = model.Run(Civil(2024, 2, 1));
  EXPECT_EQ(Brief(plan),
            "create t_2023_12 FOR VALUES FROM ('2023-12-01') TO ('2024-01-01')\n"
            "create t_2023_11 FOR VALUES FROM ('2023-11-01') TO ('2023-12-01')\n"
            "drain t_2024_04 FOR VALUES FROM ('2024-04-01') TO ('2024-05-01')\n"
            "drain t_2023_10 FOR VALUES FROM ('2023-10-01') TO ('2023-11-01')\n"
            "drain t_2024_07 FOR VALUES FROM ('2024-07-01') TO ('2024-08-01')\n");
  EXPECT_EQ(plan.actions[2].rows, 2);
  EXPECT_EQ(plan.actions[2].reason, "The default partition has 2 rows of this range.");
  EXPECT_EQ(model.table().Default()->rows.size(), 0U);
  EXPECT_EQ(Brief(model.Run(Civil(2024, 2, 1))), "");
}

TEST(PlanRanges, LeavesRowsThatAreExpiredInTheDefaultPartition) {
  PartitionPolicy policy = Monthly();
  policy.default_partition = true;
  Model model(policy);
  Rules(model).retention = {.age = Interval{.months = 1}};
  model.Run(Civil(2024, 1, 15));
  model.Insert({.at = Civil(1999)});
  Plan plan = model.Run(Civil(2024, 1, 15));
  EXPECT_EQ(Brief(plan), "notice t\n");
  EXPECT_EQ(plan.actions[0].reason,
            "Rows in the default partition are older than the retention: they stay.");
}

TEST(PlanRanges, LeavesAGapOpenThatOnlyAStrayRowMade) {
  PartitionPolicy policy = PolicyOf({{.step = kDaily}});
  policy.default_partition = true;
  Model model(policy);
  model.Run(Civil(2024, 1, 15));
  model.Insert({.at = Civil(1970)});
  Plan plan = model.Run(Civil(2024, 1, 15));
  EXPECT_EQ(Brief(plan),
            "notice t\n"
            "drain t_1970_01_01 FOR VALUES FROM ('1970-01-01') TO ('1970-01-02')\n");
  EXPECT_EQ(plan.actions[0].reason,
            "The gap from '1970-01-02' to '2024-01-15' would take more than 1000 partitions: it is "
            "left open.");
  EXPECT_FALSE(HasWork(model.Run(Civil(2024, 1, 15))));
}

TEST(PlanRanges, ReplacesWhatWasMadeAheadByTheOldInterval) {
  Model model(Monthly());
  model.Run(Civil(2024, 1, 15));
  model.Insert({.at = Civil(2024, 2, 1)});
  Rules(model).calendar = PartitionCalendar(
      kDates, std::make_shared<FixedZone>(),
      {{.step = kMonthly}, {.from = Civil(2024, 3, 4), .step = {StepUnit::kDays, 7}}});
  Plan plan = model.Run(Civil(2024, 2, 1));
  EXPECT_EQ(Brief(plan),
            "replace t_2024_03 FOR VALUES FROM ('2024-03-01') TO ('2024-03-04') "
            "t_2024w10 FOR VALUES FROM ('2024-03-04') TO ('2024-03-11') "
            "t_2024w11 FOR VALUES FROM ('2024-03-11') TO ('2024-03-18') "
            "t_2024w12 FOR VALUES FROM ('2024-03-18') TO ('2024-03-25') "
            "t_2024w13 FOR VALUES FROM ('2024-03-25') TO ('2024-04-01')\n");
  EXPECT_EQ(plan.actions[0].replaced.size(), 1U);
  EXPECT_EQ(Brief(model.Run(Civil(2024, 2, 1))), "");
}

TEST(PlanRanges, ReplacesNarrowRangesByWideOnes) {
  Model model(PolicyOf({{.step = kDaily}}));
  Rules(model).premake = 5;
  model.Run(Civil(2024, 1, 29));
  Rules(model).calendar =
      PartitionCalendar(kDates, std::make_shared<FixedZone>(),
                        {{.step = kDaily}, {.from = Civil(2024, 2, 1), .step = kMonthly}});
  Plan plan = model.Run(Civil(2024, 1, 29));
  EXPECT_EQ(Brief(plan),
            "create t_2024_03 FOR VALUES FROM ('2024-03-01') TO ('2024-04-01')\n"
            "create t_2024_04 FOR VALUES FROM ('2024-04-01') TO ('2024-05-01')\n"
            "replace t_2024_02 FOR VALUES FROM ('2024-02-01') TO ('2024-03-01')\n");
  EXPECT_EQ(plan.actions[2].replaced.size(), 3U);
  EXPECT_EQ(Brief(model.Run(Civil(2024, 1, 29))), "");
}

TEST(PlanRanges, AdoptsWhatIsNotOfTheOldInterval) {
  Model model(Monthly());
  model.Add("by_hand", Dates(Civil(2024, 2, 3), Civil(2024, 2, 13)));
  model.Run(Civil(2024, 1, 15));
  Rules(model).calendar =
      PartitionCalendar(kDates, std::make_shared<FixedZone>(),
                        {{.step = kMonthly}, {.from = Civil(2024, 2, 1), .step = kDaily}});
  model.Run(Civil(2024, 1, 15));
  EXPECT_NE(model.Describe().find("by_hand FOR VALUES FROM ('2024-02-03') TO ('2024-02-13')"),
            std::string::npos);
}

TEST(PlanRanges, DoesNotBelieveAClockThatLeapsAhead) {
  Model model(Monthly());
  Rules(model).retention = {.age = Interval{.months = 1}};
  model.Run(Civil(2024, 1, 15));
  Plan plan = model.Run(Civil(2025, 1, 15));
  EXPECT_EQ(Brief(plan),
            "guard t\n"
            "create t_2025_01 FOR VALUES FROM ('2025-01-01') TO ('2025-02-01')\n"
            "create t_2025_02 FOR VALUES FROM ('2025-02-01') TO ('2025-03-01')\n"
            "create t_2025_03 FOR VALUES FROM ('2025-03-01') TO ('2025-04-01')\n");
  EXPECT_EQ(plan.actions[0].reason,
            "The clock (2025-01-15 00:00:00+00) is far ahead of that of the last run (2024-01-15 "
            "00:00:00+00): until it is accepted, partitions expire and move as of the last run.");
  EXPECT_EQ(plan.clock, Civil(2024, 1, 15));
  // The clock is right again: what was made too early stays.
  EXPECT_EQ(Brief(model.Run(Civil(2024, 1, 16))), "");
  // Or it is accepted.
  model.policy().last_run = Civil(2025, 1, 15);
  plan = model.Run(Civil(2025, 1, 15));
  EXPECT_EQ(plan.actions.back().kind, ActionKind::kDrop);
  EXPECT_EQ(plan.clock, Civil(2025, 1, 15));
}

TEST(PlanRanges, DoesNotBelieveAClockThatGoesBack) {
  Model model(Monthly());
  Rules(model).retention = {.age = Interval{.months = 1}};
  model.Run(Civil(2024, 1, 15));
  Plan plan = model.Run(Civil(2023, 1, 15));
  EXPECT_EQ(Brief(plan), "guard t\n");
  EXPECT_EQ(plan.clock, Civil(2024, 1, 15));
  // Another machine's clock is behind by little.
  plan = model.Run(Civil(2024, 1, 15) - 10 * kSecond);
  EXPECT_EQ(Brief(plan), "");
  EXPECT_EQ(plan.clock, Civil(2024, 1, 15));
}

TEST(PlanRanges, BelievesAClockAfterAMonthWithoutMaintenance) {
  Model model(PolicyOf({{.step = kDaily}}));
  Rules(model).retention = {.age = Interval{.days = 7}};
  model.Run(Civil(2024, 1, 1));
  Plan plan = model.MakePlan(Civil(2024, 2, 1));
  EXPECT_EQ(plan.actions.front().kind, ActionKind::kCreate);
  EXPECT_EQ(plan.actions.back().kind, ActionKind::kDrop);
  plan = model.MakePlan(Civil(2024, 2, 1) + 1);
  EXPECT_EQ(plan.actions.front().kind, ActionKind::kGuard);
}

TEST(PlanRanges, TakesTheNewestNumberForTheClock) {
  PartitionPolicy policy = PolicyOf({{.step = {StepUnit::kNumbers, 100}}}, KeyFormat::kNumber);
  policy.default_partition = true;
  Model model(policy);
  Rules(model).retention = {.age = std::int64_t{1}};
  EXPECT_EQ(Brief(model.Run(0)),
            "create t_0 FOR VALUES FROM ('0') TO ('100')\n"
            "create t_100 FOR VALUES FROM ('100') TO ('200')\n"
            "create t_200 FOR VALUES FROM ('200') TO ('300')\n"
            "create t_default DEFAULT\n");
  model.Insert({.at = 250});
  EXPECT_EQ(Brief(model.Run(0)),
            "create t_300 FOR VALUES FROM ('300') TO ('400')\n"
            "create t_400 FOR VALUES FROM ('400') TO ('500')\n"
            "detach t_0\n"
            "drop t_0\n");
  // One wrong key makes nothing old.
  model.Insert({.at = 1000000});
  Plan plan = model.Run(0);
  EXPECT_EQ(
      plan.actions[0].reason,
      "The newest key (1000000) is far ahead of the one that was the newest before (250): until "
      "it is accepted, partitions expire and move by the one before.");
  for (const Action& action : plan.actions) EXPECT_NE(action.kind, ActionKind::kDetach);
  EXPECT_EQ(plan.newest[0].newest, 250);
  EXPECT_FALSE(HasWork(model.Run(0)));
}

TEST(PlanRanges, MovesLeavesByTheirAge) {
  PartitionPolicy policy = Monthly();
  policy.tablespaces = {{Interval{}, "fast"}, {Interval{.months = 1}, "bulk"}};
  policy.move_in_place_bytes = 1000;
  Model model(policy);
  model.Run(Civil(2024, 1, 15));
  EXPECT_EQ(model.table().leaves[0].leaf.tablespace, "fast");
  model.table().leaves[1].leaf.bytes = 1001;
  EXPECT_EQ(Brief(model.Run(Civil(2024, 2, 15))),
            "create t_2024_04 FOR VALUES FROM ('2024-04-01') TO ('2024-05-01')\n");
  Plan plan = model.Run(Civil(2024, 3, 1));
  EXPECT_EQ(plan.actions.back().kind, ActionKind::kMoveInPlace);
  EXPECT_EQ(plan.actions.back().tablespace, "bulk");
  EXPECT_EQ(plan.actions.back().lock, "ACCESS EXCLUSIVE on \"public\".\"t_2024_01\"");
  plan = model.Run(Civil(2024, 4, 1));
  EXPECT_EQ(plan.actions.back().kind, ActionKind::kMoveByRewrite);
  EXPECT_EQ(plan.actions.back().object.name.name, "t_2024_02");
  EXPECT_EQ(plan.actions.back().lock, "ACCESS EXCLUSIVE on \"public\".\"t\" (at the end)");
}

TEST(PlanRanges, FinishesWhatWasInterruptedFirst) {
  Model model(Monthly());
  Rules(model).retention = {.age = Interval{.months = 1}};
  ModelLeaf& old = model.Add("old", Dates(Civil(2023, 1), Civil(2023, 2)));
  old.leaf.detach_pending = true;
  model.detached = {{.id = 7, .name = {"public", "older"}}};
  model.rewrites = {{.id = 5,
                     .operation = "drain",
                     .parent = 1,
                     .parent_name = {"public", "t"},
                     .targets = {Dates(Civil(2024, 2), Civil(2024, 3))}}};
  EXPECT_EQ(Brief(model.Run(Civil(2024, 1, 15))),
            "resume rewrite t\n"
            "drop older\n"
            "finish detach old\n"
            "create t_2024_01 FOR VALUES FROM ('2024-01-01') TO ('2024-02-01')\n"
            "create t_2024_03 FOR VALUES FROM ('2024-03-01') TO ('2024-04-01')\n"
            "drop old\n");
  EXPECT_EQ(Brief(model.Run(Civil(2024, 1, 15))), "");
}

TEST(PlanRanges, LeavesSourcesOfARewriteAlone) {
  PartitionPolicy policy = Monthly();
  policy.tablespaces = {{Interval{}, "fast"}};
  Model model(policy);
  Rules(model).retention = {.age = Interval{.months = 1}};
  PartitionId id = model.Add("old", Dates(Civil(2023, 1), Civil(2023, 2))).leaf.id;
  model.rewrites = {
      {.id = 5, .operation = "move", .parent = 1, .parent_name = {"public", "t"}, .sources = {id}}};
  for (const Action& action : model.MakePlan(Civil(2024, 1, 15)).actions)
    EXPECT_NE(action.object.id, id);
}

TEST(PlanRanges, DrainsWhenNoOtherRewriteIsUnderWay) {
  PartitionPolicy policy = Monthly();
  policy.default_partition = true;
  Model model(policy);
  model.Run(Civil(2024, 1, 15));
  model.Insert({.at = Civil(2024, 7, 1)});
  model.rewrites = {{.id = 5, .operation = "split", .parent = 1, .parent_name = {"public", "t"}}};
  EXPECT_EQ(Brief(model.MakePlan(Civil(2024, 1, 15))), "resume rewrite t\n");
  model.rewrites.clear();
  EXPECT_EQ(Brief(model.MakePlan(Civil(2024, 1, 15))),
            "drain t_2024_07 FOR VALUES FROM ('2024-07-01') TO ('2024-08-01')\n");
}

TEST(PlanRanges, LeavesARewriteToWhoeverWorksOnIt) {
  Model model(Monthly());
  model.rewrites = {{.id = 5,
                     .operation = "split",
                     .parent = 1,
                     .parent_name = {"public", "t"},
                     .targets = {Dates(Civil(2024, 1), Civil(2024, 2))},
                     .is_running = true}};
  Plan plan = model.MakePlan(Civil(2024, 1, 15));
  EXPECT_EQ(plan.actions.front().kind, ActionKind::kNotice);
  EXPECT_EQ(plan.actions.front().reason, "A split is under way.");
  for (const Action& action : plan.actions) EXPECT_NE(action.object.name.name, "t_2024_01");
}

TEST(PlanRanges, MeetsBoundsBetweenTwoPoints) {
  KeyAxis uuids(KeyFormat::kUuidV7);
  Model model(PolicyOf({{.step = kMonthly}}, KeyFormat::kUuidV7));
  std::string edge = "018cc251-f400-7000-8000-000000000000";
  RangeBound bound = RangeBoundOf(uuids, {.lower = Civil(2023, 12), .upper = Civil(2024)});
  bound.upper_text = edge;
  model.Add("by_hand", bound);
  model.Run(Civil(2024, 1, 15));
  EXPECT_NE(model.Describe().find("t_2024_01 FOR VALUES FROM ('" + edge + "')"), std::string::npos);
}

TEST(PlanRanges, SaysWhenNoKeyCanHoldTheTime) {
  Model model(Monthly());
  Rules(model).calendar =
      PartitionCalendar(KeyAxis(KeyFormat::kEpochSeconds, IntegerWidth::kInteger),
                        std::make_shared<FixedZone>(), {{.step = kMonthly}});
  Plan plan = model.Run(Civil(2040));
  EXPECT_EQ(Brief(plan), "notice t\n");
  EXPECT_EQ(plan.actions[0].reason,
            "The clock is beyond all keys of type integer with epoch seconds: no partition can be "
            "made ahead.");
  // The last range has no end.
  model.policy().last_run.reset();
  model.Run(Civil(2038, 1, 5));
  EXPECT_NE(model.Describe().find("TO (MAXVALUE)"), std::string::npos);
}

}  // namespace
}  // namespace teamscale::core

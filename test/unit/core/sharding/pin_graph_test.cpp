#include "teamscale/core/sharding/pin_graph.h"

#include <gtest/gtest.h>

#include <vector>

namespace teamscale::core {
namespace {

constexpr Equality kInteger = 1;
constexpr Equality kText = 2;

std::vector<int> Values(int columns, std::vector<PinSeed> seeds, std::vector<PinEdge> edges,
                        std::vector<Equality> wanted = {}) {
  wanted.resize(columns, kIdentity);
  std::vector<Pin> pins(columns);
  PropagatePins(seeds, edges, wanted, pins);
  std::vector<int> values;
  for (const Pin& pin : pins) values.push_back(pin.value);
  return values;
}

TEST(PinGraph, PinsWhatASeedNames) {
  EXPECT_EQ(Values(2, {{0, 7, kInteger}}, {}), (std::vector<int>{7, kUnpinned}));
}

TEST(PinGraph, PassesAPinOnAlongAChainWrittenInAnyOrder) {
  EXPECT_EQ(Values(4, {{0, 7, kInteger}}, {{2, 3, kInteger}, {1, 2, kInteger}, {0, 1, kInteger}}),
            (std::vector<int>{7, 7, 7, 7}));
}

TEST(PinGraph, DoesNotPassAPinAgainstAnEdge) {
  EXPECT_EQ(Values(2, {{1, 7, kInteger}}, {{0, 1, kInteger}}), (std::vector<int>{kUnpinned, 7}));
}

TEST(PinGraph, KeepsTheFirstOfSeveralPins) {
  EXPECT_EQ(Values(2, {{0, 7, kInteger}, {0, 8, kInteger}, {1, 9, kInteger}}, {{0, 1, kInteger}}),
            (std::vector<int>{7, 9}));
}

TEST(PinGraph, EndsOnACircle) {
  EXPECT_EQ(Values(3, {{1, 7, kInteger}}, {{0, 1, kInteger}, {1, 2, kInteger}, {2, 0, kInteger}}),
            (std::vector<int>{7, 7, 7}));
}

TEST(PinGraph, DoesNotMixNotionsOfEquality) {
  EXPECT_EQ(Values(2, {{0, 7, kInteger}}, {{0, 1, kText}}), (std::vector<int>{7, kUnpinned}));
  EXPECT_EQ(Values(1, {{0, 7, kText}}, {}, {kInteger}), (std::vector<int>{kUnpinned}));
}

TEST(PinGraph, KeepsTheNotionAcrossAnIdentity) {
  EXPECT_EQ(Values(3, {{0, 7, kText}}, {{0, 1, kIdentity}, {1, 2, kInteger}}),
            (std::vector<int>{7, 7, kUnpinned}));
  EXPECT_EQ(Values(3, {{0, 7, kIdentity}}, {{0, 1, kInteger}, {1, 2, kText}}),
            (std::vector<int>{7, 7, kUnpinned}));
}

}  // namespace
}  // namespace teamscale::core

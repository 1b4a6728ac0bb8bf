#include "dist/shards.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "base/error.h"

namespace diffit::dist {
namespace {

TEST(Shards, RanksCoverAllShardsInOrder) {
  for (const std::int64_t shards : {1, 2, 8, 64}) {
    for (int ranks = 1; ranks <= shards; ++ranks) {
      std::int64_t next = 0;
      for (int rank = 0; rank < ranks; ++rank) {
        const ShardRange range = shards_of_rank(shards, rank, ranks);
        EXPECT_EQ(range.first, next);
        EXPECT_GE(range.size, shards / ranks);
        EXPECT_LE(range.size, (shards + ranks - 1) / ranks);
        next = range.end();
      }
      EXPECT_EQ(next, shards);
    }
  }
  EXPECT_THROW(shards_of_rank(4, 0, 5), Error);
}

TEST(Shards, NodesWithinARangeAreAlignedAndCoverIt) {
  EXPECT_EQ(nodes_within({0, 8}), (std::vector<ShardRange>{{0, 8}}));
  EXPECT_EQ(nodes_within({3, 5}), (std::vector<ShardRange>{{3, 1}, {4, 4}}));
  EXPECT_EQ(nodes_within({1, 6}), (std::vector<ShardRange>{{1, 1}, {2, 2}, {4, 2}, {6, 1}}));
  EXPECT_TRUE(nodes_within({5, 0}).empty());
}

/// Sum of the tree by its definition.
double by_definition(const std::vector<double>& leaves, std::size_t first, std::size_t size) {
  if (size == 1) return leaves[first];
  return by_definition(leaves, first, size / 2) + by_definition(leaves, first + size / 2, size / 2);
}

TEST(Shards, EveryNumberOfRanksGivesTheSumOfTheTreeBitForBit) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> exponent(-30, 30);
  for (const std::size_t shards : {1UL, 2UL, 8UL, 32UL}) {
    std::vector<double> leaves(shards);
    for (double& leaf : leaves) leaf = std::ldexp(exponent(random), static_cast<int>(exponent(random)));
    const double wanted = by_definition(leaves, 0, shards);
    for (int ranks = 1; ranks <= static_cast<int>(shards); ++ranks) {
      TreeSum<double> all;
      for (int rank = 0; rank < ranks; ++rank) {
        TreeSum<double> own;
        const ShardRange range = shards_of_rank(static_cast<std::int64_t>(shards), rank, ranks);
        for (std::int64_t i = range.first; i < range.end(); ++i)
          own.push({i, 1}, leaves[static_cast<std::size_t>(i)]);
        std::vector<ShardRange> nodes;
        for (const auto& node : own.nodes()) {
          nodes.push_back(node.range);
          all.push(node.range, node.value);
        }
        EXPECT_EQ(nodes, nodes_within(range));
      }
      ASSERT_EQ(all.nodes().size(), 1U);
      EXPECT_EQ(all.nodes()[0].value, wanted) << shards << " shards, " << ranks << " ranks";
    }
  }
}

TEST(Shards, OwnersFollowTheOrderAndBalanceElements) {
  EXPECT_EQ(owners_of({10, 10, 10, 10}, 2), (std::vector<int>{0, 0, 1, 1}));
  EXPECT_EQ(owners_of({1, 1, 1, 97}, 3), (std::vector<int>{0, 0, 0, 1}));
  EXPECT_EQ(owners_of({5}, 4), (std::vector<int>{1}));
  EXPECT_TRUE(owners_of({}, 3).empty());
  std::vector<std::int64_t> elements(200);
  for (std::size_t i = 0; i < elements.size(); ++i) elements[i] = static_cast<std::int64_t>(1 + i % 7);
  const std::vector<int> owners = owners_of(elements, 8);
  EXPECT_TRUE(std::is_sorted(owners.begin(), owners.end()));
  std::vector<std::int64_t> held(8);
  for (std::size_t i = 0; i < owners.size(); ++i) held[static_cast<std::size_t>(owners[i])] += elements[i];
  const auto [least, most] = std::minmax_element(held.begin(), held.end());
  EXPECT_LE(*most - *least, 7);
}

}  // namespace
}  // namespace diffit::dist

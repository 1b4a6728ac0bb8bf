#include "base/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

namespace diffit::base {
namespace {

// Known answers of the authors' own test set (Random123, kat_vectors: philox4x32 10).
TEST(Philox, GivesTheKnownAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}),
            (std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (std::array<std::uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, NormalsHaveExpectedMoments) {
  constexpr int kCount = 200000;
  Random random(7, stream_of(Purpose::test));
  double sums[4] = {};
  for (int i = 0; i < kCount; ++i) {
    const double x = random.normal();
    for (int power = 0; power < 4; ++power) sums[power] += std::pow(x, power + 1);
  }
  // Five standard errors of each moment: var(x^k) = E x^2k - (E x^k)^2 = 1, 2, 15, 96.
  const double expected[] = {0, 1, 0, 3}, variance[] = {1, 2, 15, 96};
  for (int k = 0; k < 4; ++k) {
    EXPECT_NEAR(sums[k] / kCount, expected[k], 5 * std::sqrt(variance[k] / kCount)) << "moment " << k + 1;
  }
}

TEST(Random, StreamsAndSeedsDiffer) {
  std::set<std::uint32_t> first;
  for (std::uint64_t seed : {0ull, 1ull, 1ull << 40}) {
    for (std::uint64_t counter : {0ull, 1ull, 1ull << 40}) {
      first.insert(Random(seed, stream_of(Purpose::test, counter)).bits());
      first.insert(Random(seed, stream_of(Purpose::step_noise, counter)).bits());
    }
  }
  EXPECT_EQ(first.size(), 18u);
}

TEST(Random, BelowIsUniformAndInRange) {
  Random random(3, stream_of(Purpose::test));
  std::vector<int> seen(7);
  for (int i = 0; i < 70000; ++i) ++seen.at(random.below(7));
  for (const int n : seen) EXPECT_NEAR(n, 10000, 5 * std::sqrt(10000));
}

TEST(Permuted, VisitsEachPositionOnce) {
  for (std::uint64_t size : {1ull, 2ull, 3ull, 5ull, 16ull, 17ull, 1000ull, 60000ull}) {
    std::vector<bool> seen(size);
    for (std::uint64_t i = 0; i < size; ++i) {
      const std::uint64_t position = permuted(i, size, 42, 1);
      ASSERT_LT(position, size);
      ASSERT_FALSE(seen[position]);
      seen[position] = true;
    }
  }
}

TEST(Permuted, DiffersBetweenEpochsAndFromTheIdentity) {
  int same_as_next = 0, fixed = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    same_as_next += permuted(i, 1000, 42, 1) == permuted(i, 1000, 42, 2);
    fixed += permuted(i, 1000, 42, 1) == i;
  }
  // Both counts are about Poisson(1); 10 is beyond 1e-7.
  EXPECT_LT(same_as_next, 10);
  EXPECT_LT(fixed, 10);
}

}  // namespace
}  // namespace diffit::base

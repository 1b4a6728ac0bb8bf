#include "analysis/collapse.h"

#include <gtest/gtest.h>

#include <cmath>

#include "runtime/pch.h"

namespace diffit::analysis {
namespace {

at::Tensor draw(std::int64_t count, std::uint64_t seed) {
  at::manual_seed(seed);
  return at::randn({count, 12});
}

TEST(Collapse, NearestNeighborsMatchExhaustiveSearch) {
  const at::Tensor a = draw(1500, 1), b = draw(700, 2);  // more than a block
  const at::Tensor plain = at::cdist(a.to(at::kDouble), b.to(at::kDouble));
  const Neighbours found = nearest_neighbours(a, b);
  EXPECT_TRUE(at::equal(found.index, plain.argmin(1)));
  EXPECT_TRUE(at::allclose(found.distance, std::get<0>(plain.min(1)), 1e-12, 0));
  at::Tensor within = at::cdist(a.to(at::kDouble), a.to(at::kDouble));
  within.fill_diagonal_(1e9);
  EXPECT_TRUE(at::equal(nearest_neighbours(a).index, within.argmin(1)));
}

TEST(Collapse, IndependentDrawHasExpectedShares) {
  const at::Tensor training = draw(3000, 3), held_out = draw(2000, 4), samples = draw(2000, 5);
  for (const Share& share : {near_duplicates(samples, held_out), copies(samples, training, held_out)}) {
    // Binomial fraction of 1 % of 2000, and a quantile of as many.
    EXPECT_NEAR(share.value, kExpectedShare, 5 * std::sqrt(2 * 0.01 * 0.99 / 2000));
    EXPECT_LT(share.low, share.value);
    EXPECT_GT(share.high, share.value);
  }
}

TEST(Collapse, RepeatedImagesAreDuplicatesAndNotCopies) {
  const at::Tensor real = draw(1000, 6), held_out = draw(1000, 7);
  const at::Tensor repeated = draw(100, 8).repeat({10, 1}) + 1e-3 * draw(1000, 9);
  EXPECT_GT(near_duplicates(repeated, real).value, 0.99);
  EXPECT_LT(copies(repeated, real, held_out).low, 0.05);
}

TEST(Collapse, MemorizedImagesAreCopiesAndNotDuplicates) {
  const at::Tensor training = draw(1000, 10), held_out = draw(1000, 11);
  const at::Tensor samples = at::cat({training.narrow(0, 0, 300) + 1e-3 * draw(300, 12), draw(700, 13)});
  const Share share = copies(samples, training, held_out);
  EXPECT_NEAR(share.value, 0.3 + 0.7 * 0.01, 0.03);
  EXPECT_TRUE(share.counts.narrow(0, 0, 300).all().item<bool>());
  EXPECT_LT(near_duplicates(samples, held_out).value, 0.05);
}

TEST(Collapse, FindsClassWithoutDiversity) {
  const at::Tensor real = draw(2000, 14), labels = at::arange(2000).remainder(4);
  at::Tensor samples = draw(1000, 15);
  const at::Tensor made = at::arange(1000).remainder(4);
  samples.index_put_({made.eq(2)}, samples.index({made.eq(2)}) * 0.5);
  for (const ClassDiversity& c : diversity(samples, made, real, labels)) {
    const double exact = c.label == 2 ? 0.25 : 1.0;
    // Twice the width of the 95 % confidence interval: four standard deviations.
    EXPECT_LT(std::abs(std::log(c.ratio / exact)), std::log(c.high / c.low)) << c.label;
    EXPECT_LT(c.high / c.low, 1.3) << c.label;
    EXPECT_EQ(c.samples, 250);
  }
}

}  // namespace
}  // namespace diffit::analysis

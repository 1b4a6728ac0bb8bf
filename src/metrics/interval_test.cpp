// Tests that influences are derivatives, and that intervals have the width of the variation between
// independent draws.
#include <gtest/gtest.h>

#include "metrics/bootstrap.h"
#include "metrics/frechet.h"
#include "metrics/inception_score.h"
#include "metrics/kernel_distance.h"
#include "metrics/testing.h"

namespace diffit::metrics {
namespace {

using testing::normals;

Gaussian of(const at::Tensor& features) {
  Moments moments(features.size(1));
  moments.add(features);
  return moments.gaussian();
}

/// Moments with weights [N] that sum to one, scaled as with divisor N - 1.
Gaussian weighted(const at::Tensor& x, const at::Tensor& weights) {
  const at::Tensor mean = weights.unsqueeze(0).mm(x)[0], centred = x - mean;
  const double count = static_cast<double>(x.size(0));
  return {mean, (centred * weights.unsqueeze(1)).t().mm(centred) * (count / (count - 1)), x.size(0)};
}

TEST(FrechetInfluence, IsDerivativeByWeightOfImage) {
  for (const std::int64_t count : {60, 9}) {  // with full rank, and without
    const std::int64_t width = 12;
    const at::Tensor x = normals(count, width, 50) * 1.3 + 0.1;
    const Gaussian reference = of(normals(200, width, 51));
    const at::Tensor influence = FrechetDistance(of(x), reference, true).influence(x);
    EXPECT_NEAR(influence.sum().item<double>(), 0, 1e-9);
    const double e = 1e-5;
    for (std::int64_t i = 0; i < count; i += 4) {
      const auto distance = [&](double step) {
        at::Tensor weights = at::full({count}, 1.0 / static_cast<double>(count), at::kDouble) * (1 - step);
        weights[i] += step;
        return FrechetDistance(weighted(x, weights), reference).value();
      };
      const double difference = (distance(e) - distance(-e)) / (2 * e);
      // Central difference with e N << 1. A missing factor N / (N - 1) would show as 1 in 60.
      EXPECT_NEAR(influence[i].item<double>(), difference, 1e-3 * (1 + std::abs(difference)))
          << count << " " << i;
    }
  }
}

/// Compares the standard deviation over `draws` independent sets with the mean of the standard deviations
/// from the bootstrap. The former has a relative error of 1 / sqrt(2 draws), and five times that is allowed.
template <class Measure>
void expect_honest(const char* name, std::int64_t draws, const Measure& measure) {
  std::vector<double> values;
  double estimate = 0;
  for (std::int64_t d = 0; d < draws; ++d) {
    const auto [value, influence] = measure(1000 + static_cast<std::uint64_t>(d));
    values.push_back(value);
    estimate +=
        bootstrap_interval(value, influence, {.replicates = 200}).deviation / static_cast<double>(draws);
  }
  const double spread = at::tensor(values, at::kDouble).std().item<double>();
  EXPECT_NEAR(estimate, spread, 5 * spread / std::sqrt(2.0 * static_cast<double>(draws))) << name;
}

TEST(Intervals, MatchVariationOfIndependentDraws) {
  const Gaussian reference = of(normals(5000, 4, 52));
  expect_honest("Frechet distance", 300, [&](std::uint64_t draw) {
    const at::Tensor x = normals(400, 4, draw) * 1.2 + 0.3;
    const FrechetDistance distance(of(x), reference, true);
    return std::pair(distance.value(), distance.influence(x));
  });
  const at::Tensor real = normals(800, 4, 53).to(at::kFloat);
  expect_honest("kernel distance", 300, [&](std::uint64_t draw) {
    const at::Tensor x = (normals(300, 4, draw) * 1.2 + 0.3).to(at::kFloat);
    const KernelDistance distance =
        kernel_distance(x, real, {.subsets = 40, .subset_size = 300, .influence = true});
    return std::pair(distance.value, distance.influence);
  });
  expect_honest("inception score", 300, [&](std::uint64_t draw) {
    InceptionScoreSum sum(250);
    sum.add((normals(600, 5, draw) * 1.5).softmax(1));
    const InceptionScore score = sum.finish();
    return std::pair(score.value, score.influence);
  });
}

TEST(Intervals, MatchBinomialForMean) {
  const at::Tensor inside = (at::arange(1000) < 700).to(at::kDouble);
  const Interval interval = bootstrap_interval(0.7, inside, {.replicates = 4000});
  const double deviation = std::sqrt(0.7 * 0.3 / 1000);
  // Quantiles of 4000 replicates have an error of sqrt(p (1 - p) / 4000) / density = 0.05 standard deviations
  // at 2.5 %, and the values are multiples of 1/1000.
  EXPECT_NEAR(interval.low, 0.7 - 1.96 * deviation, 5 * 0.05 * deviation + 1e-3);
  EXPECT_NEAR(interval.high, 0.7 + 1.96 * deviation, 5 * 0.05 * deviation + 1e-3);
  EXPECT_NEAR(interval.deviation, deviation, 5 * deviation / std::sqrt(2.0 * 4000));
}

TEST(Intervals, DependOnSeedAndNotOnThreads) {
  const at::Tensor x = normals(1, 500, 54)[0];
  testing::expect_independent_of_threads(
      [&] {
        const Interval i = bootstrap_interval(1, x);
        return std::vector{at::tensor({i.low, i.high, i.deviation}, at::kDouble)};
      },
      "interval");
  EXPECT_NE(bootstrap_interval(1, x, {.seed = 1}).low, bootstrap_interval(1, x, {.seed = 2}).low);
}

}  // namespace
}  // namespace diffit::metrics

// Compares the inception score and the kernel distance with their definitions.
#include <gtest/gtest.h>

#include "base/error.h"
#include "metrics/inception_score.h"
#include "metrics/kernel_distance.h"
#include "metrics/testing.h"

namespace diffit::metrics {
namespace {

using testing::normals;

TEST(InceptionScore, EqualsNumberOfClassesForCertainUniformPredictions) {
  InceptionScoreSum sure, unsure;
  sure.add(at::eye(10).repeat({100, 1}));
  EXPECT_NEAR(sure.finish().value, 10, 1e-12);
  unsure.add(at::full({1000, 10}, 0.1F));
  EXPECT_NEAR(unsure.finish().value, 1, 1e-7);  // 0.1 is not exact in float32
}

TEST(InceptionScore, UsesBlocksInOrderWithFullWeightForShortBlock) {
  const at::Tensor p = (normals(1250, 7, 60) * 2).softmax(1).to(at::kFloat);
  double want = 0;
  for (const at::Tensor& block : p.to(at::kDouble).split(500)) {
    const at::Tensor marginal = block.mean(0);
    want += (block * (block.log() - marginal.log())).sum(1).mean().exp().item<double>() / 3;
  }
  for (const std::int64_t batch : {1, 33, 500, 1250}) {  // for any batch size
    InceptionScoreSum sum(500);
    for (const at::Tensor& piece : p.split(batch)) sum.add(piece);
    const InceptionScore score = sum.finish();
    EXPECT_NEAR(score.value, want, want * 1e-13) << batch;  // float64 sums of 500 terms
    EXPECT_EQ(score.blocks, 3);
    EXPECT_EQ(score.influence.size(0), 1250);
  }
  EXPECT_THROW(InceptionScoreSum().finish(), Error);
}

/// The unbiased estimate, summed over pairs.
double by_definition(const at::Tensor& x, const at::Tensor& y) {
  const auto kernel = [](const at::Tensor& a, const at::Tensor& b) {
    return std::pow((a * b).sum().item<double>() / static_cast<double>(a.size(0)) + 1, 3);
  };
  const std::int64_t n = x.size(0), m = y.size(0);
  double xx = 0, yy = 0, xy = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) xx += i == j ? 0 : kernel(x[i], x[j]);
  }
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < m; ++j) yy += i == j ? 0 : kernel(y[i], y[j]);
  }
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < m; ++j) xy += kernel(x[i], y[j]);
  }
  const auto pairs = [](std::int64_t k) { return static_cast<double>(k * (k - 1)); };
  return xx / pairs(n) + yy / pairs(m) - 2 * xy / static_cast<double>(n * m);
}

TEST(KernelDistance, MatchesDefinitionForOneSubset) {
  const at::Tensor x = normals(30, 6, 61), y = normals(30, 6, 62) * 1.5 + 0.3;
  const KernelDistance got = kernel_distance(x.to(at::kFloat), y.to(at::kFloat));
  // Products are float32: each kernel value has an error of 3 k^(2/3) 6 u |x||y| / D, and the means have a
  // smaller one.
  EXPECT_NEAR(got.value, by_definition(x, y), 1e-5 * 30);
  EXPECT_EQ(got.subset_size, 30);
  EXPECT_EQ(got.deviation, 0);  // there is only one subset
}

TEST(KernelDistance, MatchesTorchFidelity) {
  // Reference value from tests/golden/make_kernel_distance.py.
  const auto features = [](std::int64_t a, std::int64_t b, std::int64_t c, double shift) {
    const at::Tensor i = at::arange(64, at::kLong).unsqueeze(1), j = at::arange(128, at::kLong);
    return (at::remainder(i * a + j * b + i * j * c, 2048).to(at::kDouble) / 1024 + shift).to(at::kFloat);
  };
  const at::Tensor x = features(7919, 104729, 31, 0), y = features(6101, 86243, 17, 0.25);
  // Products of 128 numbers in float32 have an error of about sqrt(128) u, which the cube triples; kernel
  // values are below 30.
  EXPECT_NEAR(kernel_distance(x, y).value, 1.9843934694092908, 3 * std::sqrt(128.0) * 6e-8 * 30);
}

TEST(KernelDistance, IsUnbiased) {
  // Two draws from the same distribution: the values for a hundred disjoint pairs of sets vary around 0.
  std::vector<double> values;
  for (std::uint64_t d = 0; d < 100; ++d) {
    values.push_back(
        kernel_distance(normals(50, 8, 2000 + d).to(at::kFloat), normals(50, 8, 3000 + d).to(at::kFloat))
            .value);
  }
  const at::Tensor all = at::tensor(values, at::kDouble);
  EXPECT_LT(std::abs(all.mean().item<double>()), 5 * all.std().item<double>() / 10);
  EXPECT_LT(all.min().item<double>(), 0);
}

TEST(KernelDistance, SubsetsApproximateWholeAndDependOnSeed) {
  const at::Tensor x = normals(700, 5, 63).to(at::kFloat), y = (normals(900, 5, 64) + 0.4).to(at::kFloat);
  KernelDistanceOptions options{.subsets = 50, .subset_size = 200};
  const KernelDistance first = kernel_distance(x, y, options), again = kernel_distance(x, y, options);
  EXPECT_EQ(first.value, again.value);
  EXPECT_EQ(first.subset_size, 200);
  options.seed = 1;
  EXPECT_NE(kernel_distance(x, y, options).value, first.value);
  const double whole = kernel_distance(x, y.narrow(0, 0, 700), {.subset_size = 700}).value;
  // Subsets of 200 out of 700: a mean over 50, each with the reported standard deviation; the other set has
  // 200 more images.
  EXPECT_NEAR(first.value, whole, 5 * first.deviation / std::sqrt(50.0) + first.deviation);
  EXPECT_THROW(kernel_distance(x.narrow(0, 0, 1), y), Error);
}

}  // namespace
}  // namespace diffit::metrics

#include "metrics/frechet.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "metrics/extrapolate.h"
#include "metrics/testing.h"

namespace diffit::metrics {
namespace {

using testing::normals;
using testing::rotation;

constexpr double kUnit = 1.1e-16;  // float64's unit roundoff

Gaussian of(const at::Tensor& features) {
  Moments moments(features.size(1));
  moments.add(features);
  return moments.gaussian();
}

/// Rounding error of a difference of traces in float64: eigenvalues have an error of D u |S|, and the sum of
/// their square roots has D times that.
double rounding(const Gaussian& a, const Gaussian& b) {
  const double width = static_cast<double>(a.width());
  return 8 * width * kUnit * (a.covariance.trace() + b.covariance.trace()).item<double>();
}

TEST(Moments, MatchNumpyMeanAndCovariance) {
  const at::Tensor x = normals(500, 6, 1);
  const Gaussian g = of(x);
  const at::Tensor centred = x - x.mean(0);
  EXPECT_EQ(g.count, 500);
  testing::expect_close(g.mean, x.mean(0), 500 * kUnit, "mean");
  testing::expect_close(g.covariance, centred.t().mm(centred) / 499, 500 * kUnit * 2, "covariance");
}

TEST(Moments, MergingInAnyOrderMatchesOnePass) {
  const at::Tensor x = normals(997, 12, 2) * 3 + 5;
  const Gaussian whole = of(x);
  const std::vector<at::Tensor> pieces = x.split({1, 2, 300, 7, 687});
  for (const std::vector<std::size_t>& order :
       {std::vector<std::size_t>{4, 2, 0, 3, 1}, {1, 3, 0, 2, 4}, {0, 1, 2, 3, 4}}) {
    Moments first(12), second(12);
    for (std::size_t i = 0; i < order.size(); ++i) (i % 2 == 0 ? first : second).add(pieces[order[i]]);
    Moments empty(12);
    empty.merge(second);
    empty.merge(first);
    const Gaussian merged = empty.gaussian();
    EXPECT_EQ(merged.count, 997);
    // Sums of 997 terms of size 9: 997 u 9 in the worst case.
    testing::expect_close(merged.mean, whole.mean, 997 * kUnit * 8, "mean");
    testing::expect_close(merged.covariance, whole.covariance, 997 * kUnit * 9, "covariance");
  }
}

TEST(Moments, LargeMeanLosesNoPrecision) {
  // Sums of squares would have an error of 1e12 u = 1e-4 for a variance of 1; sums about the mean only have
  // the rounding error of the features, 1e6 u.
  const at::Tensor x = normals(400, 5, 3);
  Moments moments(5);
  for (const at::Tensor& piece : x.split(33)) moments.add(piece + 1e6);
  testing::expect_close(moments.gaussian().covariance, of(x).covariance, 1e6 * kUnit * 40, "covariance");
}

TEST(Moments, RejectNonFiniteAndTooFewRows) {
  at::Tensor x = normals(4, 3, 4);
  x[2][1] = std::numeric_limits<double>::quiet_NaN();
  Moments moments(3);
  EXPECT_THROW(moments.add(x), Error);
  moments.add(normals(1, 3, 4));
  EXPECT_THROW(moments.gaussian(), Error);
}

TEST(FrechetDistance, MatchesClosedFormForDiagonalGaussians) {
  const std::int64_t width = 40;
  const at::Tensor s = normals(1, width, 5)[0].exp(), r = normals(1, width, 6)[0].exp();
  const at::Tensor turn = rotation(width, 7);  // a common rotation does not change the distance
  const Gaussian a{normals(1, width, 8)[0], turn.mm(at::diag(s)).mm(turn.t())};
  const Gaussian b{normals(1, width, 9)[0], turn.mm(at::diag(r)).mm(turn.t())};
  const double want =
      ((a.mean - b.mean).square().sum() + (s.sqrt() - r.sqrt()).square().sum()).item<double>();
  for (const bool influence : {false, true}) {
    EXPECT_NEAR(FrechetDistance(a, b, influence).value(), want, rounding(a, b));
    EXPECT_NEAR(FrechetDistance(b, a, influence).value(), want, rounding(a, b));
  }
}

TEST(FrechetDistance, MatchesClosedFormForTwoByTwo) {
  // For a 2x2 matrix with positive eigenvalues, tr sqrt(M) = sqrt(tr M + 2 sqrt(det M)). These two matrices
  // do not commute.
  const at::Tensor s = at::tensor({2.0, 0.7, 0.7, 1.0}, at::kDouble).view({2, 2});
  const at::Tensor r = at::tensor({0.5, -0.3, -0.3, 4.0}, at::kDouble).view({2, 2});
  const Gaussian a{at::zeros({2}, at::kDouble), s}, b{at::ones({2}, at::kDouble), r};
  const double trace = s.mm(r).trace().item<double>(), determinant = (2.0 - 0.49) * (2.0 - 0.09);
  EXPECT_NEAR(FrechetDistance(a, b).value(), 2 + 3 + 4.5 - 2 * std::sqrt(trace + 2 * std::sqrt(determinant)),
              rounding(a, b));
}

TEST(FrechetDistance, IsZeroForIdenticalSets) {
  for (const std::int64_t count : {30, 64, 65, 4000}) {  // fewer than, as many as, and more than features
    const Gaussian a = of(normals(count, 64, 10).mm(normals(64, 64, 11)));
    // These are roots of squares: an eigenvalue l^2 with an error of D u L^2 (L is the largest) has a root
    // with an error of D u L^2 / 2l, and of at most sqrt(D u) L.
    const at::Tensor l = at::linalg_eigvalsh(a.covariance).clamp_min(0);
    const double off = 64 * kUnit * l.square().max().item<double>();
    const double roots =
        at::minimum(off / (2 * l), at::full({}, std::sqrt(off), at::kDouble)).sum().item<double>();
    EXPECT_NEAR(FrechetDistance(a, a).value(), 0, rounding(a, a) + 2 * roots) << count;
  }
}

TEST(FrechetDistance, IsExactForSingularCovarianceAndReportsRank) {
  const std::int64_t width = 50;
  const at::Tensor x = normals(20, width, 12), y = normals(31, width, 13) * 1.5 + 0.2;
  const Gaussian a = of(x), b = of(y);
  const FrechetDistance distance(a, b);
  EXPECT_EQ(distance.rank_a(), 19);
  EXPECT_EQ(distance.rank_b(), 30);
  // tr (S_a S_b)^(1/2) is the sum of the singular values of X_c Y_c^T, divided by the square roots of the
  // divisors.
  const at::Tensor cross = (x - x.mean(0)).mm((y - y.mean(0)).t()) / std::sqrt(19.0 * 30.0);
  const double want = ((a.mean - b.mean).square().sum() + a.covariance.trace() + b.covariance.trace() -
                       2 * at::linalg_svdvals(cross).sum())
                          .item<double>();
  EXPECT_NEAR(distance.value(), want, rounding(a, b));
  EXPECT_NEAR(FrechetDistance(b, a).value(), want, rounding(a, b));
  EXPECT_EQ(FrechetDistance(of(normals(400, width, 14)), b).rank_a(), width);
}

TEST(FrechetDistance, DependsOnFeatureOrder) {
  // The features of sFID are a flattened map: another order (NCHW instead of NHWC) gives another Gaussian.
  const std::int64_t h = 5, w = 5, c = 3;
  const at::Tensor map =
      normals(600, h * w * c, 15).mm(normals(h * w * c, h * w * c, 16)) + at::arange(h * w * c, at::kDouble);
  const at::Tensor other = map.view({600, h, w, c}).permute({0, 3, 1, 2}).reshape({600, h * w * c});
  const Gaussian nhwc = of(map), nchw = of(other);
  EXPECT_NEAR(FrechetDistance(nhwc, nhwc).value(), 0, rounding(nhwc, nhwc));
  EXPECT_GT(FrechetDistance(nchw, nhwc).value(), 0.1 * nhwc.covariance.trace().item<double>());
}

TEST(FrechetDistance, RejectsInvalidCovariance) {
  const Gaussian good = of(normals(100, 4, 17));
  Gaussian bad = of(normals(100, 4, 18));
  bad.covariance[0][0] = -3;
  EXPECT_THROW(FrechetDistance(good, bad), Error);
  EXPECT_THROW(FrechetDistance(bad, good), Error);
  EXPECT_THROW(FrechetDistance(good, of(normals(100, 5, 18))), Error);
  bad.covariance[0][0] = std::numeric_limits<double>::infinity();
  EXPECT_THROW(FrechetDistance(good, bad), Error);
}

TEST(Extrapolation, IsNearZeroForEqualDistributions) {
  const std::int64_t width = 24;
  const Gaussian truth{at::zeros({width}, at::kDouble), at::eye(width, at::kDouble)};
  const at::Tensor x = normals(3000, width, 19).to(at::kFloat);
  const double biased = FrechetDistance(of(x), truth).value();
  const Extrapolation line = extrapolate_frechet(x, truth);
  EXPECT_EQ(line.smallest, 300);
  EXPECT_GT(line.slope, 0);
  // The bias is exactly of order 1/N. What remains is the random variation of one draw (its relative standard
  // deviation is about sqrt(4 / D^2) of the bias) and of fifteen subsets.
  EXPECT_LT(std::abs(line.value), biased / 3);
}

}  // namespace
}  // namespace diffit::metrics

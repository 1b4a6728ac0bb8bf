#include "diffusion/edm.h"

#include <gtest/gtest.h>

#include <cmath>

namespace diffit::diffusion {
namespace {

at::Tensor noise_levels() {
  return at::logspace(-3, 2, 11, 10.0, at::kDouble);
}

// EDM appendix B.6: inputs and targets of F have unit variance, and c_out is as small as possible.
TEST(Preconditioning, InputsAndTargetsHaveUnitVariance) {
  const Parameterisation p{0.5};
  const at::Tensor sigma = noise_levels(), total = sigma.square() + 0.25;
  EXPECT_TRUE(at::allclose(p.c_in(sigma).square() * total, at::ones_like(sigma), 1e-12));
  // Variance of the target (y - c_skip (y + n)) / c_out for y with standard deviation sigma_data.
  const at::Tensor skip = p.c_skip(sigma);
  const at::Tensor target =
      ((1 - skip).square() * 0.25 + skip.square() * sigma.square()) / p.c_out(sigma).square();
  EXPECT_TRUE(at::allclose(target, at::ones_like(sigma), 1e-9));
  EXPECT_TRUE(at::allclose(p.c_noise(sigma) * 4, sigma.log(), 1e-12));
}

// EDM table 1: for VP, D is x - sigma eps, with eps evaluated at x / sqrt(1 + sigma^2) and timestep 999 t;
// for VE, D is x + sigma^2 score.
TEST(Preconditioning, VpAndVeMatchTheirProcesses) {
  const at::Tensor sigma = at::logspace(-2, 2, 9, 10.0, at::kDouble);
  const Parameterisation vp{0.5, Schedule::vp, Prediction::eps}, ve{0.5, Schedule::ve, Prediction::eps};
  for (std::int64_t i = 0; i < sigma.size(0); ++i) {
    const double s = sigma[i].item<double>(), t = VpProcess::t(sigma)[i].item<double>();
    EXPECT_NEAR(VpProcess::sigma(t), s, 1e-12 * s);
    // alpha^2 = exp(-integral of beta(t) = 0.1 + 19.9 t), and sigma^2 = (1 - alpha^2) / alpha^2.
    const double alpha2 = std::exp(-(0.1 * t + 19.9 * t * t / 2));
    EXPECT_NEAR(vp.c_in(sigma)[i].item<double>(), std::sqrt(alpha2), 1e-12);
    EXPECT_NEAR(vp.c_noise(sigma)[i].item<double>(), 999 * t, 1e-9);
    EXPECT_EQ(vp.c_out(sigma)[i].item<double>(), -s);
    EXPECT_EQ(ve.c_out(sigma)[i].item<double>(), s);
    EXPECT_NEAR(ve.c_noise(sigma)[i].item<double>(), std::log(s / 2), 1e-12);
  }
  for (const Parameterisation& p : {vp, ve}) EXPECT_TRUE(at::equal(p.c_skip(sigma), at::ones_like(sigma)));
  EXPECT_TRUE(at::equal(ve.c_in(sigma), at::ones_like(sigma)));
}

// Each tenth of the range contains a tenth of the draws. With 20000 draws the standard deviation is about
// 0.003.
TEST(NoiseDistribution, VpIsUniformInTimeAndVeInLogSigma) {
  for (const Schedule kind : {Schedule::vp, Schedule::ve}) {
    Random random(3, stream_of(Purpose::test));
    constexpr int kDraws = 20000;
    std::vector<int> tenths(10);
    const SigmaRange range = sigma_range(kind);
    for (int i = 0; i < kDraws; ++i) {
      const double sigma = NoiseDistribution{-1.2, 1.2, kind}.sigma(random);
      ASSERT_GE(sigma, range.least);
      ASSERT_LE(sigma, range.most);
      const double place = kind == Schedule::ve
                               ? std::log(sigma / range.least) / std::log(range.most / range.least)
                               : VpProcess::t(at::tensor({sigma}, at::kDouble)).item<double>();
      ++tenths[static_cast<std::size_t>(std::min(9.0, place * 10))];
    }
    for (const int count : tenths) EXPECT_NEAR(count / static_cast<double>(kDraws), 0.1, 0.01);
  }
}

// With F = 0 the loss is E lambda |c_skip (y + n) - y|^2 = E |target|^2 = 1 for data with standard deviation
// sigma_data.
TEST(EdmLoss, IsOneForUntrainedNetwork) {
  const Parameterisation p{0.5};
  Random random(1, stream_of(Purpose::test));
  constexpr std::int64_t kBatch = 4096, kNumbers = 16;
  const at::Tensor y = 0.5 * at::randn({kBatch, kNumbers}), sigma = at::empty({kBatch});
  for (std::int64_t i = 0; i < kBatch; ++i) sigma[i] = NoiseDistribution{}.sigma(random);
  const at::Tensor n = at::randn({kBatch, kNumbers}) * sigma.unsqueeze(1);
  const RawNetwork zero = [](const at::Tensor& x, const at::Tensor&) { return at::zeros_like(x); };
  // The variance of a squared normal is 2; five standard errors of the mean.
  EXPECT_NEAR(edm_loss(zero, p, y, n, sigma).item<double>(), 1, 5 * std::sqrt(2.0 / (kBatch * kNumbers)));
}

TEST(NoiseDistribution, IsLogNormal) {
  Random random(2, stream_of(Purpose::test));
  double sum = 0, square = 0;
  constexpr int kCount = 20000;
  for (int i = 0; i < kCount; ++i) {
    const double x = std::log(NoiseDistribution{-1.2, 1.2}.sigma(random));
    sum += x;
    square += x * x;
  }
  const double mean = sum / kCount;
  EXPECT_NEAR(mean, -1.2, 5 * 1.2 / std::sqrt(kCount));
  EXPECT_NEAR(std::sqrt(square / kCount - mean * mean), 1.2, 5 * 1.2 / std::sqrt(2.0 * kCount));
}

}  // namespace
}  // namespace diffit::diffusion

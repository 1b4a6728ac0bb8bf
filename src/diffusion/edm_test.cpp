#include "diffusion/edm.h"

#include <gtest/gtest.h>

#include <cmath>

namespace diffit {
namespace {

at::Tensor noise_levels() {
  return at::logspace(-3, 2, 11, 10.0, at::kDouble);
}

// EDM appendix B.6: inputs and targets of F have unit variance, and c_out is as small as can be.
TEST(Preconditioning, GivesUnitVarianceInputsAndTargets) {
  const Preconditioning p{0.5};
  const at::Tensor sigma = noise_levels(), total = sigma.square() + 0.25;
  EXPECT_TRUE(at::allclose(p.c_in(sigma).square() * total, at::ones_like(sigma), 1e-12));
  // Var of the target (y - c_skip (y + n)) / c_out for y of deviation sigma_data.
  const at::Tensor skip = p.c_skip(sigma);
  const at::Tensor target =
      ((1 - skip).square() * 0.25 + skip.square() * sigma.square()) / p.c_out(sigma).square();
  EXPECT_TRUE(at::allclose(target, at::ones_like(sigma), 1e-9));
  EXPECT_TRUE(at::allclose(Preconditioning::c_noise(sigma) * 4, sigma.log(), 1e-12));
}

// With F = 0 the loss is E lambda |c_skip (y + n) - y|^2 = E |target|^2 = 1 for data of deviation sigma_data.
TEST(EdmLoss, IsOneForAnUntrainedNetwork) {
  const Preconditioning p{0.5};
  Random random(1, stream_of(Purpose::test));
  constexpr std::int64_t kBatch = 4096, kNumbers = 16;
  const at::Tensor y = 0.5 * at::randn({kBatch, kNumbers}), sigma = at::empty({kBatch});
  for (std::int64_t i = 0; i < kBatch; ++i) sigma[i] = NoiseDistribution{}.sigma(random);
  const at::Tensor n = at::randn({kBatch, kNumbers}) * sigma.unsqueeze(1);
  const RawNetwork zero = [](const at::Tensor& x, const at::Tensor&) { return at::zeros_like(x); };
  // Var of a squared normal is 2; five standard errors of the mean.
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
}  // namespace diffit

// Tests likelihood and error in cases where the best denoiser, and therefore the result, is known.
#include "analysis/likelihood.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "analysis/noise_error.h"
#include "runtime/pch.h"

namespace diffit::analysis {
namespace {

constexpr double kSpread = 0.7;

/// E[y | x] for y ~ N(0, kSpread^2).
at::Tensor of_gaussian(const at::Tensor& x, double sigma) {
  return x * (kSpread * kSpread / (kSpread * kSpread + sigma * sigma));
}

/// E[y | x] for y uniform over the 256 levels.
at::Tensor of_levels(const at::Tensor& x, double sigma) {
  const at::Tensor levels = at::arange(256, at::kDouble) / 127.5 - 1;
  const at::Tensor weight = at::softmax(-(x.unsqueeze(-1) - levels).square() / (2 * sigma * sigma), -1);
  return weight.matmul(levels);
}

std::vector<double> rising(std::int64_t steps, double sigma_min, double sigma_max) {
  std::vector<double> sigmas = karras_sigmas(steps + 1, sigma_min, sigma_max);
  sigmas.pop_back();
  std::reverse(sigmas.begin(), sigmas.end());
  return sigmas;
}

/// Largest error of ln p per element for Gaussian data.
double gaussian_error(std::int64_t steps) {
  constexpr double least = 0.01, most = 200;
  at::manual_seed(5);
  const at::Tensor z = kSpread * at::randn({6, 1, 4, 4}, at::kDouble);
  const double variance = kSpread * kSpread + least * least;
  const at::Tensor exact = -0.5 * (z.square() / variance + std::log(2 * M_PI * variance)).flatten(1).sum(1);
  return (log_density(of_gaussian, z, rising(steps, least, most), 1, 0) - exact).abs().max().item<double>() /
         16;
}

TEST(Likelihood, ConvergesQuadraticallyForGaussianData) {
  const double coarse = gaussian_error(32), fine = gaussian_error(64), finest = gaussian_error(128);
  EXPECT_LT(finest, 2e-3);
  EXPECT_NEAR(coarse / fine, 4, 1.2) << coarse << " " << fine;
  EXPECT_NEAR(fine / finest, 4, 1.2) << fine << " " << finest;
}

TEST(Likelihood, BoundOfUniformLevelsIsAboutEightBits) {
  at::manual_seed(6);
  const at::Tensor y = (at::randint(256, {32, 1, 4, 4}, at::kFloat) / 127.5 - 1).to(at::kFloat);
  const at::Tensor bits = bits_a_number(of_levels, y, rising(96, 0.002, 80), 2, 0);
  const double mean = bits.mean().item<double>();
  const double error = bits.std().item<double>() / std::sqrt(32.0);
  EXPECT_GT(mean, 8 - 4 * error - 0.02);
  EXPECT_LT(mean, 8 + 4 * error + 0.05) << "error " << error;
}

TEST(Likelihood, IsWorseForUnexpectedImages) {
  const at::Tensor y = at::full({2, 1, 4, 4}, 0.5), far = at::full({2, 1, 4, 4}, 0.9);
  const Denoiser knows_one = [](const at::Tensor& x, double sigma) {
    const double kept = 1e-4 / (1e-4 + sigma * sigma);
    return 0.5 + (x - 0.5) * kept;
  };
  const std::vector<double> sigmas = rising(32, 0.01, 80);
  EXPECT_LT(bits_a_number(knows_one, y, sigmas, 0, 0).max().item<double>() + 10,
            bits_a_number(knows_one, far, sigmas, 0, 0).min().item<double>());
}

TEST(Likelihood, DoesNotDependOnBatch) {
  at::manual_seed(7);
  const at::Tensor y = at::randint(256, {3, 1, 4, 4}, at::kFloat) / 127.5 - 1;
  const std::vector<double> sigmas = rising(8, 0.01, 80);
  const at::Tensor all = bits_a_number(of_gaussian, y, sigmas, 3, 10);
  const at::Tensor one = bits_a_number(of_gaussian, y.narrow(0, 2, 1), sigmas, 3, 12);
  EXPECT_NEAR(one.item<double>(), all[2].item<double>(), 1e-12 * all[2].item<double>());
}

TEST(NoiseError, IsPosteriorVarianceForBestDenoiser) {
  at::manual_seed(8);
  const at::Tensor y = (kSpread * at::randn({256, 1, 8, 8})).to(at::kFloat);
  const std::vector<double> sigmas = noise_levels(0.05, 5, 5);
  EXPECT_DOUBLE_EQ(sigmas.front(), 5);
  EXPECT_NEAR(sigmas.back(), 0.05, 1e-12);
  const at::Tensor errors = noise_errors(of_gaussian, y, sigmas, 4, 0, 100);
  for (std::int64_t k = 0; k < 5; ++k) {
    const double s = kSpread * kSpread,
                 n = sigmas[static_cast<std::size_t>(k)] * sigmas[static_cast<std::size_t>(k)];
    const double exact = s * n / (s + n);
    // The mean of 256 x 64 squared normal numbers, each with a relative standard deviation of sqrt(2).
    EXPECT_NEAR(errors[k].mean().item<double>(), exact, 5 * exact * std::sqrt(2.0 / (256 * 64)))
        << sigmas[static_cast<std::size_t>(k)];
  }
  EXPECT_TRUE(at::equal(noise_errors(of_gaussian, y.narrow(0, 7, 1), sigmas, 4, 7, 1).select(1, 0),
                        errors.select(1, 7)));
}

}  // namespace
}  // namespace diffit::analysis

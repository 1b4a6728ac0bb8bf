#include "diffusion/sampler.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace diffit::diffusion {
namespace {

/// Exact denoiser for a Gaussian with standard deviation s: D(x; sigma) = s^2 / (s^2 + sigma^2) x. Its
/// probability-flow trajectories are x(sigma) = x(sigma_0) sqrt((s^2 + sigma^2) / (s^2 + sigma_0^2)).
constexpr double kDeviation = 0.5;
at::Tensor gaussian(const at::Tensor& x, double sigma) {
  return x * (kDeviation * kDeviation / (kDeviation * kDeviation + sigma * sigma));
}

const StepNoise kNoNoise = [](std::int64_t) -> at::Tensor { throw std::logic_error("no step adds noise"); };

double error_of(std::int64_t steps, bool second_order) {
  const std::vector<double> sigmas = karras_sigmas(steps);
  const at::Tensor start = at::ones({1}, at::kDouble);
  const at::Tensor x = (second_order ? heun : euler)(gaussian, start, sigmas, {}, kNoNoise, {});
  const double exact = 80 * kDeviation / std::sqrt(kDeviation * kDeviation + 80.0 * 80.0);
  return std::abs(x.item<double>() - exact);
}

TEST(KarrasSigmas, DecreaseFromLargestToZero) {
  const std::vector<double> sigmas = karras_sigmas(18);
  ASSERT_EQ(sigmas.size(), 19u);
  EXPECT_DOUBLE_EQ(sigmas[0], 80);
  EXPECT_NEAR(sigmas[17], 0.002, 1e-12);
  EXPECT_EQ(sigmas[18], 0);
  for (std::size_t i = 1; i < sigmas.size(); ++i) EXPECT_LT(sigmas[i], sigmas[i - 1]);
  EXPECT_EQ(karras_sigmas(1), (std::vector<double>{80, 0}));
  EXPECT_THROW(karras_sigmas(0), Error);
  EXPECT_THROW(karras_sigmas(8, 80, 0.002), Error);
}

// Doubling the number of steps halves the error of Euler and quarters that of Heun.
TEST(Samplers, ConvergeWithExpectedOrder) {
  EXPECT_NEAR(error_of(64, false) / error_of(128, false), 2, 0.2);
  EXPECT_NEAR(error_of(64, true) / error_of(128, true), 4, 0.8);
  EXPECT_LT(error_of(128, true), 1e-3);
}

TEST(Churn, KeepsDistribution) {
  constexpr std::int64_t kCount = 20000;
  at::Generator generator = at::detail::createCPUGenerator(3);
  const auto normals = [&](std::int64_t) {
    return at::randn({kCount}, generator, at::TensorOptions(at::kDouble));
  };
  std::int64_t noisy = 0;
  const at::Tensor x =
      heun(gaussian, normals(0), karras_sigmas(64), {.s_churn = 30, .s_min = 0.01, .s_max = 40},
           [&](std::int64_t k) {
             EXPECT_EQ(k, noisy++);
             return normals(k);
           },
           {});
  EXPECT_GT(noisy, 30);
  // Five standard errors, plus one percent for the discretization error.
  EXPECT_NEAR(x.std().item<double>(), kDeviation, kDeviation * (5 / std::sqrt(2.0 * kCount) + 0.01));
}

TEST(Churn, GammaIsBoundedAndZeroOutsideItsRange) {
  const Churn churn{.s_churn = 40, .s_min = 0.05, .s_max = 50};
  EXPECT_EQ(churn.gamma(60, 256), 0);
  EXPECT_EQ(churn.gamma(0.01, 256), 0);
  EXPECT_DOUBLE_EQ(churn.gamma(1, 256), 40.0 / 256);
  EXPECT_DOUBLE_EQ(churn.gamma(1, 18), std::sqrt(2.0) - 1);
}

TEST(Samplers, EvaluationCountMatchesPaper) {
  for (const bool second_order : {false, true}) {
    int evaluations = 0;
    const Denoiser count = [&](const at::Tensor& x, double sigma) {
      ++evaluations;
      return gaussian(x, sigma);
    };
    (second_order ? heun : euler)(count, at::ones({1}), karras_sigmas(18), {}, kNoNoise, {});
    EXPECT_EQ(evaluations, second_order ? 35 : 18);
  }
}

}  // namespace
}  // namespace diffit::diffusion

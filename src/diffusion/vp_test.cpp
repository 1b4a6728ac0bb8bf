#include "diffusion/vp.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "kernels/testing.h"

namespace diffit::diffusion {
namespace {

TEST(VpSchedule, LinearScheduleMatchesDefinition) {
  const VpSchedule s = VpSchedule::linear();
  ASSERT_EQ(s.size(), 1000);
  EXPECT_EQ(s.beta[0], 1e-4);
  EXPECT_EQ(s.beta[999], 0.02);
  EXPECT_NEAR(s.beta[500], 1e-4 + 500 * (0.02 - 1e-4) / 999, 1e-17);
  double log_product = 0;
  for (std::size_t i = 0; i < 1000; ++i) {
    log_product += std::log1p(-s.beta[i]);
    ASSERT_NEAR(s.alpha_bar[i] / std::exp(log_product), 1, 1e-12) << i;
    EXPECT_EQ(s.timesteps[i], static_cast<std::int64_t>(i));
  }
  // Range of sigma, computed independently: 0.0100005 to 157.407.
  EXPECT_NEAR(s.sigma(0), std::sqrt(1e-4 / (1 - 1e-4)), 1e-12);
  EXPECT_NEAR(s.sigma(999), 157.407, 5e-4);
}

TEST(VpSchedule, ScalesBetasForOtherLengths) {
  EXPECT_NEAR(VpSchedule::linear(500).beta[0], 2e-4, 1e-18);
  EXPECT_NEAR(VpSchedule::linear(500).beta[499], 0.04, 1e-16);
  EXPECT_THROW(VpSchedule::linear(1), Error);
}

// Bayes' rule: the precisions of q(x_t | x_{t-1}) and q(x_{t-1} | x_0) add up.
TEST(VpSchedule, PosteriorFollowsBayesRule) {
  for (const std::int64_t steps : {1000, 250, 10}) {
    const VpSchedule s = VpSchedule::linear().respaced(steps);
    for (std::size_t i = 1; i < static_cast<std::size_t>(steps); ++i) {
      const double alpha = 1 - s.beta[i], before = s.alpha_bar[i - 1];
      const double variance = 1 / (alpha / s.beta[i] + 1 / (1 - before));
      ASSERT_NEAR(s.posterior_variance[i] / variance, 1, 1e-9);
      ASSERT_NEAR(s.posterior_xt[i] / (variance * std::sqrt(alpha) / s.beta[i]), 1, 1e-9);
      ASSERT_NEAR(s.posterior_x0[i] / (variance * std::sqrt(before) / (1 - before)), 1, 1e-9);
      ASSERT_EQ(s.posterior_log_variance[i], std::log(s.posterior_variance[i]));
    }
    EXPECT_EQ(s.posterior_variance[0], 0);
    EXPECT_EQ(s.posterior_x0[0], 1);
    EXPECT_EQ(s.posterior_xt[0], 0);
    EXPECT_EQ(s.posterior_log_variance[0], s.posterior_log_variance[1]);
  }
}

TEST(VpSchedule, RespacingRoundsHalfToEven) {
  const VpSchedule s = VpSchedule::linear();
  // 999 / 6 = 166.5: ties occur and round to even.
  EXPECT_EQ(s.respaced(7).timesteps, (std::vector<std::int64_t>{0, 166, 333, 500, 666, 832, 999}));
  EXPECT_EQ(s.respaced(3).timesteps, (std::vector<std::int64_t>{0, 500, 999}));
  EXPECT_EQ(s.respaced(1000).timesteps, s.timesteps);
  const VpSchedule released = s.respaced(250);
  EXPECT_EQ(released.timesteps.front(), 0);
  EXPECT_EQ(released.timesteps[125], 502);  // 125 * 999 / 249 = 501.506
  EXPECT_EQ(released.timesteps.back(), 999);
  EXPECT_THROW(s.respaced(1), Error);
  EXPECT_THROW(s.respaced(1001), Error);
}

TEST(VpSchedule, RespacingKeepsAlphaBar) {
  const VpSchedule s = VpSchedule::linear();
  for (const std::int64_t steps : {2, 7, 250, 1000}) {
    const VpSchedule r = s.respaced(steps);
    for (std::size_t i = 0; i < r.timesteps.size(); ++i) {
      ASSERT_NEAR(r.alpha_bar[i] / s.alpha_bar[static_cast<std::size_t>(r.timesteps[i])], 1, 1e-12);
    }
  }
}

TEST(VpSchedule, LearnedVarianceInterpolatesBetweenBounds) {
  const VpSchedule s = VpSchedule::linear().respaced(250);
  for (const std::int64_t i : {0, 1, 100, 249}) {
    const auto at = static_cast<std::size_t>(i);
    const at::Tensor v = at::tensor({-1.0, 0.0, 1.0}, at::kDouble);
    const double low = s.posterior_log_variance[at], high = std::log(s.beta[at]);
    testing::expect_close(s.log_variance(v, i), at::tensor({low, (low + high) / 2, high}, at::kDouble), 1e-13,
                          "log variance");
  }
}

TEST(Noised, MatchesDefinition) {
  const VpSchedule s = VpSchedule::linear();
  const at::Tensor t = at::tensor({0, 400, 999}, at::kLong);
  const at::Tensor x0 = at::randn({3, 2, 2}, at::kDouble), noise = at::randn({3, 2, 2}, at::kDouble);
  const at::Tensor x = noised(s, x0, noise, t);
  for (std::int64_t b = 0; b < 3; ++b) {
    const double a = s.alpha_bar[static_cast<std::size_t>(t[b].item<std::int64_t>())];
    testing::expect_close(x[b], std::sqrt(a) * x0[b] + std::sqrt(1 - a) * noise[b], 1e-14, "x_t");
  }
}

}  // namespace
}  // namespace diffit::diffusion

#include "diffusion/vp_loss.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/testing.h"

namespace diffit::diffusion {
namespace {

double value(const at::Tensor& x) {
  return x.item<double>();
}
at::Tensor number(double x) {
  return at::full({}, x, at::kDouble);
}

// KL(p || q) = integral of p log(p / q), by the trapezoidal rule over +-12 standard deviations of p.
TEST(GaussianKl, MatchesIntegral) {
  for (const auto& [mean_1, log_1, mean_2, log_2] : {std::array{0.0, 0.0, 0.0, 0.0},
                                                     {0.3, -2.0, -0.1, -1.0},
                                                     {1.0, 0.5, -1.0, 0.1},
                                                     {0.0, -6.0, 0.01, -6.2}}) {
    const auto log_density = [](double x, double mean, double log_variance) {
      return -0.5 * (std::log(2 * M_PI) + log_variance + (x - mean) * (x - mean) / std::exp(log_variance));
    };
    const double deviation = std::exp(log_1 / 2), step = deviation / 500;
    double integral = 0;
    for (double x = mean_1 - 12 * deviation; x < mean_1 + 12 * deviation; x += step) {
      const double p = log_density(x, mean_1, log_1);
      integral += std::exp(p) * (p - log_density(x, mean_2, log_2)) * step;
    }
    EXPECT_NEAR(value(gaussian_kl(number(mean_1), number(log_1), number(mean_2), number(log_2))), integral,
                1e-8);
  }
}

TEST(DiscretisedLikelihood, ProbabilitiesOfBinsSumToOne) {
  const at::Tensor x = at::arange(256, at::kDouble) / 127.5 - 1;
  for (const double deviation : {0.01, 0.1, 1.0}) {
    for (const double mean : {-1.0, 0.2, 0.9}) {
      const at::Tensor p = discretised_log_likelihood(x, x - mean, number(std::log(deviation))).exp();
      EXPECT_NEAR(value(p.sum()), 1, 256 * 1e-12 + 1e-9);
      // The tanh approximation of the distribution function is off by at most 4e-4.
      const at::Tensor upper = 0.5 * (1 + at::erf((x - mean + 1.0 / 255) / (deviation * std::sqrt(2.0))));
      const at::Tensor lower = 0.5 * (1 + at::erf((x - mean - 1.0 / 255) / (deviation * std::sqrt(2.0))));
      at::Tensor exact = upper - lower;
      exact[0] = upper[0];
      exact[255] = 1 - lower[255];
      testing::expect_close(p, exact, 8e-4, "probability of a bin");
    }
  }
}

TEST(DiscretisedLikelihood, IsBoundedBelow) {
  EXPECT_NEAR(value(discretised_log_likelihood(number(0.5), number(0.9), number(-9.0))), std::log(1e-12),
              1e-9);
}

struct Example {
  Parameterisation eps = parameterisation_of(LatentConfig{});
  VpSchedule schedule = VpSchedule::linear();
  at::Tensor t = at::tensor({0, 1, 37, 500, 999}, at::kLong);
  at::Tensor x0, noise, output;
  Example() {
    at::Generator g = at::detail::createCPUGenerator(1);
    const auto normal = [&](at::IntArrayRef shape) {
      return at::randn(shape, g, at::TensorOptions(at::kDouble));
    };
    x0 = normal({5, 3, 2, 2}).clamp(-1, 1);
    noise = normal({5, 3, 2, 2});
    output = at::cat({noise + 0.1 * normal({5, 3, 2, 2}), at::tanh(normal({5, 3, 2, 2}))}, 1);
  }
  HybridLoss loss(double weight = 1) const {
    return hybrid_loss(eps, schedule, output, x0, noise, t, weight);
  }
};

/// Computes the bound for one element step by step: x_t, then x_0 from eps, then both posteriors.
double bound_of(const VpSchedule& s, std::size_t t, double x0, double noise, double eps, double v) {
  const double a = s.alpha_bar[t], before = t == 0 ? 1 : s.alpha_bar[t - 1], beta = s.beta[t];
  const double x = std::sqrt(a) * x0 + std::sqrt(1 - a) * noise;
  const double x0_theta = x / std::sqrt(a) - std::sqrt(1 / a - 1) * eps;
  const auto mean = [&](double y) {
    return (beta * std::sqrt(before) * y + (1 - before) * std::sqrt(1 - beta) * x) / (1 - a);
  };
  const auto variance = [&](std::size_t i) {
    return s.beta[i] * (1 - s.alpha_bar[i - 1]) / (1 - s.alpha_bar[i]);
  };
  const double low = std::log(variance(std::max<std::size_t>(t, 1)));
  const double log_variance = (v + 1) / 2 * std::log(beta) + (1 - (v + 1) / 2) * low;
  if (t > 0) {
    const double difference = mean(x0) - mean(x0_theta);
    return 0.5 * (-1 + log_variance - low + std::exp(low - log_variance) +
                  difference * difference * std::exp(-log_variance));
  }
  const auto cdf = [](double z) {
    return 0.5 * (1 + std::tanh(std::sqrt(2 / M_PI) * (z + 0.044715 * z * z * z)));
  };
  const double deviation = std::exp(0.5 * log_variance), from_mean = x0 - mean(x0_theta);
  const double upper = x0 > 0.999 ? 1 : cdf((from_mean + 1.0 / 255) / deviation);
  const double lower = x0 < -0.999 ? 0 : cdf((from_mean - 1.0 / 255) / deviation);
  return -std::log(std::max(upper - lower, 1e-12));
}

TEST(HybridLoss, IsSumOfMeanSquareAndBound) {
  const Example e;
  const HybridLoss loss = e.loss();
  at::Tensor mse = at::zeros({5}, at::kDouble), vlb = at::zeros({5}, at::kDouble);
  const at::Tensor x0 = e.x0.flatten(1), noise = e.noise.flatten(1);
  const at::Tensor eps = e.output.narrow(1, 0, 3).flatten(1), v = e.output.narrow(1, 3, 3).flatten(1);
  for (std::int64_t b = 0; b < 5; ++b) {
    const auto t = static_cast<std::size_t>(e.t[b].item<std::int64_t>());
    for (std::int64_t j = 0; j < 12; ++j) {
      mse[b] += std::pow(value(eps[b][j]) - value(noise[b][j]), 2) / 12;
      vlb[b] +=
          bound_of(e.schedule, t, value(x0[b][j]), value(noise[b][j]), value(eps[b][j]), value(v[b][j])) /
          12 / std::log(2.0);
    }
  }
  // Differences of numbers up to 157 (sigma at t = 999), divided by variances down to 5e-5 (at t = 1).
  testing::expect_close(loss.mse, mse, 1e-13, "mse");
  testing::expect_close(loss.vlb, vlb, 1e-9 * vlb.abs() + 1e-10, "vlb");
  testing::expect_close(loss.per_sample, mse + vlb, 1e-9 * vlb.abs() + 1e-10, "per sample");
  EXPECT_NEAR(value(loss.mean), value((mse + vlb).mean()), 1e-8);
  testing::expect_close(e.loss(0.25).per_sample, mse + 0.25 * vlb, 1e-9 * vlb.abs() + 1e-10, "weighted");
}

// Improved DDPM, section 3.1: the bound trains the variance, not the mean.
TEST(HybridLoss, DetachesMeanFromBound) {
  Example e;
  e.output.requires_grad_();
  e.loss().mean.backward();
  const at::Tensor eps = e.output.detach().narrow(1, 0, 3);
  testing::expect_close(e.output.grad().narrow(1, 0, 3), 2 * (eps - e.noise) / (5 * 12), 1e-15, "d eps");
  EXPECT_GT(value(e.output.grad().narrow(1, 3, 3).abs().min()), 0);
}

// For the true mean and the smallest variance, the KL divergence is zero.
TEST(HybridLoss, IsZeroForTruePosterior) {
  Example e;
  const at::Tensor before = e.loss().vlb;
  e.output = at::cat({e.noise, at::full_like(e.noise, -1)}, 1);  // the true mean and the smallest variance
  const at::Tensor exact = e.loss().vlb;
  testing::expect_close(exact.narrow(0, 1, 4), at::zeros({4}, at::kDouble), 1e-12,
                        "KL of the true posterior");
  EXPECT_GT(value(before.narrow(0, 1, 4).min()), 1e-6);
}

TEST(HybridLoss, Float32ErrorIsWithinRounding) {
  Example e;
  const HybridLoss exact = e.loss();
  const HybridLoss loss = hybrid_loss(e.eps, e.schedule, e.output.to(at::kFloat), e.x0.to(at::kFloat),
                                      e.noise.to(at::kFloat), e.t);
  EXPECT_EQ(loss.mean.scalar_type(), at::kFloat);
  // A log variance of up to 10 is rounded and exponentiated: 10 u, or 80 u with the sums. At t = 0 the
  // probability of a bin is the difference of two numbers near one.
  const double u = testing::epsilon(at::kFloat);
  testing::expect_close(loss.mse, exact.mse, 16 * u * exact.mse.abs() + 16 * u, "mse");
  testing::expect_close(loss.vlb.narrow(0, 1, 4), exact.vlb.narrow(0, 1, 4),
                        80 * u * exact.vlb.abs().max() + 80 * u, "vlb");
  testing::expect_close(loss.vlb[0], exact.vlb[0], 1e-3, "vlb at t = 0");
}

// v = alpha n - s x_0, and the same x_0 follows from v and from eps: v_theta - v = (eps_theta - n) / alpha.
TEST(HybridLoss, HasSameBoundButOtherSquareForV) {
  Example e;
  const HybridLoss by_eps = e.loss();
  const at::Tensor a = at_steps(e.schedule.alpha_bar, e.t, e.x0), eps = e.output.narrow(1, 0, 3);
  const at::Tensor x_t = noised(e.schedule, e.x0, e.noise, e.t);
  const at::Tensor x0_theta = (x_t - (1 - a).sqrt() * eps) / a.sqrt();
  const at::Tensor v_theta = a.sqrt() * eps - (1 - a).sqrt() * x0_theta;
  Parameterisation p = e.eps;
  p.prediction = Prediction::v;
  const at::Tensor output = at::cat({v_theta, e.output.narrow(1, 3, 3)}, 1);
  const HybridLoss loss = hybrid_loss(p, e.schedule, output, e.x0, e.noise, e.t, 0.5);
  testing::expect_close(loss.mse, by_eps.mse / a.flatten(), 1e-10 * by_eps.mse / a.flatten(), "mse");
  testing::expect_close(loss.vlb, by_eps.vlb, 1e-9 * by_eps.vlb.abs() + 1e-10, "vlb");
  testing::expect_close(loss.per_sample, loss.mse + 0.5 * loss.vlb, 1e-12 * loss.mse, "per sample");

  p.learned_variance = false;
  const HybridLoss alone = hybrid_loss(p, e.schedule, v_theta, e.x0, e.noise, e.t);
  EXPECT_FALSE(alone.vlb.defined());
  EXPECT_TRUE(at::equal(alone.per_sample, loss.mse));
}

}  // namespace
}  // namespace diffit::diffusion

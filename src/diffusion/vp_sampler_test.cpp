#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "diffusion/ddim.h"
#include "diffusion/ddpm.h"
#include "diffusion/dpmpp2m.h"
#include "diffusion/unipc.h"
#include "diffusion/vp_as_ve.h"
#include "kernels/testing.h"

namespace diffit::diffusion {
namespace {

const VpSchedule& schedule() {
  static const VpSchedule linear = VpSchedule::linear();
  return linear;
}

constexpr double kDeviation = 0.5;

/// Exact eps for a zero-mean Gaussian with standard deviation kDeviation; v selects the posterior variance.
NoisePrediction gaussian(const at::Tensor& x, std::int64_t t) {
  const double a = schedule().alpha_bar[static_cast<std::size_t>(t)];
  const at::Tensor eps = x * (std::sqrt(1 - a) / (a * kDeviation * kDeviation + 1 - a));
  return {eps, at::full_like(x, -1)};
}

const StepNoise kNoNoise = [](std::int64_t) -> at::Tensor { throw std::logic_error("no step adds noise"); };

at::Tensor normals(at::IntArrayRef shape, at::Generator& g) {
  return at::randn(shape, g, at::TensorOptions(at::kDouble));
}

TEST(TimestepGrid, MatchesNamedSpacing) {
  using Grid = std::vector<std::int64_t>;
  EXPECT_EQ(timestep_grid(Spacing::leading, 4), (Grid{750, 500, 250, 0}));
  EXPECT_EQ(timestep_grid(Spacing::leading, 3), (Grid{666, 333, 0}));
  EXPECT_EQ(timestep_grid(Spacing::linspace, 2), (Grid{999, 500}));  // 499.5 rounds half to even
  EXPECT_EQ(timestep_grid(Spacing::linspace, 3), (Grid{999, 666, 333}));
  EXPECT_EQ(timestep_grid(Spacing::trailing, 4), (Grid{999, 749, 499, 249}));
  for (const Spacing spacing : {Spacing::leading, Spacing::linspace, Spacing::trailing}) {
    for (std::int64_t steps = 1; steps <= 999; ++steps) {
      const Grid grid = timestep_grid(spacing, steps);
      ASSERT_EQ(static_cast<std::int64_t>(grid.size()), steps);
      ASSERT_TRUE(grid.front() <= 999 && grid.back() >= 0);
      for (std::size_t i = 1; i < grid.size(); ++i) ASSERT_LT(grid[i], grid[i - 1]);
    }
  }
  EXPECT_THROW(timestep_grid(Spacing::leading, 0), Error);
  EXPECT_THROW(timestep_grid(Spacing::leading, 1001), Error);
  EXPECT_THROW(timestep_grid(Spacing::linspace, 1000), Error);
  EXPECT_THROW(spacing_named("even"), Error);
}

TEST(NearestStep, FindsNearestIndex) {
  for (const std::int64_t i : {0, 1, 500, 998, 999}) {
    const double sigma = schedule().sigma(i);
    EXPECT_EQ(nearest_step(schedule(), sigma), i);
    EXPECT_EQ(nearest_step(schedule(), sigma * 1.0001), i);
  }
  EXPECT_EQ(nearest_step(schedule(), 0.002), 0);
  EXPECT_EQ(nearest_step(schedule(), 1000), 999);
}

TEST(KarrasSigmasOf, AreClippedToSchedule) {
  const std::vector<double> sigmas = karras_sigmas_of(schedule(), 18, 0.002, 500, 7);
  EXPECT_EQ(sigmas.front(), schedule().sigma(999));
  EXPECT_EQ(sigmas[17], schedule().sigma(0));
  EXPECT_EQ(sigmas[18], 0);
  EXPECT_NEAR(karras_sigmas_of(schedule(), 18, 0.002, 80, 7).front(), 80, 0.5);
}

/// Distance between the result of a solver and the exact solution of the probability-flow ODE at the last
/// timestep of its grid. The grid covers 800..200 in `steps` equal steps; the final step to sigma = 0 is not
/// counted.
template <class Solver>
double error_of(const Solver& solver, std::int64_t steps) {
  std::vector<std::int64_t> grid;
  for (std::int64_t i = 0; i <= steps; ++i) grid.push_back(800 - 600 / steps * i);
  at::Tensor last;  // the last input of the network: x at t = 200
  const NoisePredictor network = [&](const at::Tensor& x, std::int64_t t) {
    last = x;
    return gaussian(x, t);
  };
  solver(network, at::ones({1}, at::kDouble), grid);
  const auto deviation = [](std::int64_t t) {
    const double a = schedule().alpha_bar[static_cast<std::size_t>(t)];
    return std::sqrt(a * kDeviation * kDeviation + 1 - a);
  };
  return std::abs(last.item<double>() - deviation(200) / deviation(800));
}

// Doubling the number of steps halves the error of DDIM, quarters that of DPM-Solver++(2M), and reduces that
// of UniPC even more, because its corrector gains an order.
TEST(VpSamplers, ConvergeWithExpectedOrder) {
  const auto first = [](const auto& f, const at::Tensor& x, const auto& grid) {
    return ddim(f, x, schedule(), grid, 0, kNoNoise);
  };
  const auto second = [](const auto& f, const at::Tensor& x, const auto& grid) {
    return dpmpp2m(f, x, schedule(), grid);
  };
  const auto third = [](const auto& f, const at::Tensor& x, const auto& grid) {
    return unipc(f, x, schedule(), grid);
  };
  EXPECT_NEAR(error_of(first, 60) / error_of(first, 120), 2, 0.2);
  EXPECT_NEAR(error_of(second, 60) / error_of(second, 120), 4, 0.8);
  EXPECT_GT(error_of(third, 60) / error_of(third, 120), 4);
  EXPECT_LT(error_of(second, 120), error_of(first, 120) / 10);
  EXPECT_LT(error_of(third, 120), error_of(second, 120));
}

TEST(VpSamplers, EvaluateOncePerStepAndAddNoiseAsDocumented) {
  int evaluations = 0;
  std::int64_t noisy = 0;
  const NoisePredictor count = [&](const at::Tensor& x, std::int64_t t) {
    ++evaluations;
    return gaussian(x, t);
  };
  const StepNoise zeros = [&](std::int64_t k) {
    EXPECT_EQ(k, noisy++);
    return at::zeros({1}, at::kDouble);
  };
  const at::Tensor start = at::ones({1});
  const auto reset = [&] { evaluations = 0, noisy = 0; };
  ddpm(count, start, schedule().respaced(20), zeros);
  EXPECT_TRUE(evaluations == 20 && noisy == 19);
  reset();
  ddim(count, start, schedule(), timestep_grid(Spacing::leading, 20), 0.5, zeros);
  EXPECT_TRUE(evaluations == 20 && noisy == 19);
  reset();
  ddim(count, start, schedule(), timestep_grid(Spacing::leading, 20), 0, kNoNoise);
  dpmpp2m(count, start, schedule(), timestep_grid(Spacing::linspace, 20));
  unipc(count, start, schedule(), timestep_grid(Spacing::linspace, 20));
  EXPECT_EQ(evaluations, 60);
}

TEST(VpSamplers, ReportProgress) {
  std::vector<std::int64_t> seen;
  const StepProgress note = [&](std::int64_t done, std::int64_t steps) {
    EXPECT_EQ(steps, 3);
    seen.push_back(done);
  };
  const at::Tensor start = at::ones({1});
  const StepNoise zeros = [](std::int64_t) { return at::zeros({1}, at::kDouble); };
  ddpm(gaussian, start, schedule().respaced(3), zeros, note);
  ddim(gaussian, start, schedule(), timestep_grid(Spacing::leading, 3), 0, kNoNoise, note);
  dpmpp2m(gaussian, start, schedule(), timestep_grid(Spacing::linspace, 3), note);
  unipc(gaussian, start, schedule(), timestep_grid(Spacing::linspace, 3), note);
  EXPECT_EQ(seen, (std::vector<std::int64_t>{1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3}));
}

/// Mixture of two Gaussians on a line, at -0.6 and 0.6 with standard deviation 0.15 and weights 0.3 and 0.7.
constexpr double kCentre = 0.6, kSpread = 0.15, kRight = 0.7;
NoisePrediction mixture(const at::Tensor& x, std::int64_t t) {
  const double a = schedule().alpha_bar[static_cast<std::size_t>(t)], alpha = std::sqrt(a);
  const double variance = a * kSpread * kSpread + 1 - a;
  const at::Tensor right = at::sigmoid(2 * alpha * kCentre * x / variance + std::log(kRight / (1 - kRight)));
  const at::Tensor mean = alpha * kCentre * (2 * right - 1);
  return {(x - mean) * (std::sqrt(1 - a) / variance), at::full_like(x, -1)};
}

// Each sampler with the exact network draws from the mixture. The distance is Wasserstein-1 of sorted
// samples. The fractions of the modes in two draws of 20,000 differ by sqrt(2 0.21 / 20000) = 0.0046, times
// the 1.2 between the modes; five such standard deviations are 0.028. A Gaussian with the same mean and
// standard deviation is much farther away.
TEST(VpSamplers, DrawFromMixture) {
  constexpr std::int64_t kCount = 20000;
  at::Generator g = at::detail::createCPUGenerator(5);
  const at::Tensor side =
      at::where(at::rand({kCount}, g, at::TensorOptions(at::kDouble)) < kRight, kCentre, -kCentre);
  const at::Tensor truth = std::get<0>((side + kSpread * normals({kCount}, g)).sort(0));
  const auto distance = [&](const at::Tensor& x) {
    return (std::get<0>(x.sort(0)) - truth).abs().mean().item<double>();
  };
  const at::Tensor start = normals({kCount}, g);
  const StepNoise noise = [&](std::int64_t) { return normals({kCount}, g); };
  const std::vector<std::int64_t> fine = timestep_grid(Spacing::linspace, 50);
  EXPECT_LT(distance(ddpm(mixture, start, schedule().respaced(250), noise)), 0.03);
  EXPECT_LT(distance(ddim(mixture, start, schedule(), timestep_grid(Spacing::leading, 100), 0, kNoNoise)),
            0.03);
  EXPECT_LT(distance(ddim(mixture, start, schedule(), timestep_grid(Spacing::leading, 250), 1, noise)), 0.03);
  EXPECT_LT(distance(dpmpp2m(mixture, start, schedule(), fine)), 0.03);
  EXPECT_LT(distance(unipc(mixture, start, schedule(), fine)), 0.03);
  EXPECT_LT(distance(heun(as_denoiser(mixture, schedule()), start,
                          karras_sigmas_of(schedule(), 40, 0.002, 80, 7), {}, kNoNoise)),
            0.03);
  EXPECT_GT(distance(0.24 + 0.57 * normals({kCount}, g)), 0.1);
}

}  // namespace
}  // namespace diffit::diffusion

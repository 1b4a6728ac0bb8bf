// Compares every sampler of the VP process with golden states computed independently
// (tests/golden/make_samplers.py): diffusers for DDIM, DPM-Solver++ and UniPC, the formulas of the papers in
// numpy for the others.
#include <gtest/gtest.h>

#include <cmath>

#include "diffusion/ddim.h"
#include "diffusion/ddpm.h"
#include "diffusion/dpmpp2m.h"
#include "diffusion/unipc.h"
#include "diffusion/vp_as_ve.h"
#include "kernels/testing.h"
#include "nn/layers/weights_io.h"

namespace diffit::diffusion {
namespace {

const VpSchedule& schedule() {
  static const VpSchedule linear = VpSchedule::linear();
  return linear;
}

/// The network of the script: the exact prediction for a Gaussian plus a small nonlinear term. x [2, 4].
NoisePrediction toy(const at::Tensor& x, std::int64_t t) {
  const double a = schedule().alpha_bar[static_cast<std::size_t>(t)];
  const double alpha = std::sqrt(a), s = std::sqrt(1 - a);
  const at::Tensor j = at::arange(4, at::kDouble), mu = 0.3 - 0.1 * j, spread = 0.5 + 0.05 * j;
  return {s * (x - alpha * mu) / (a * spread.square() + s * s) + 0.1 * x.sin(),
          at::sin(x + static_cast<double>(t) / 100)};
}

class VpGolden : public ::testing::Test {
 protected:
  SafetensorsFile file{fs::path(DIFFIT_SOURCE_DIR) / "tests/golden/samplers.safetensors"};
  Json grids = parse_json(file.metadata().at("grids"), "grids");
  at::Tensor noise = to_tensor(file.at("noise")), step_noise = to_tensor(file.at("step_noise"));
  StepNoise rows = [this](std::int64_t k) { return step_noise[k]; };

  std::vector<std::int64_t> steps() const {
    return parse_json(file.metadata().at("steps"), "steps").get<std::vector<std::int64_t>>();
  }
  /// Returns our timestep grid, noisiest first, after comparing it with the one in the file.
  std::vector<std::int64_t> grid(const std::string& name, Spacing spacing, std::int64_t n) const {
    const std::vector<std::int64_t> ours = timestep_grid(spacing, n);
    EXPECT_EQ(ours, grids.at(fmt::format("{}.{}", name, n)).get<std::vector<std::int64_t>>()) << name << n;
    return ours;
  }
  /// Both results are float64 with different orders of summation: at most a thousand roundings (50 steps of
  /// some twenty operations) of numbers up to 160, the largest sigma, through contracting maps.
  void expect(const at::Tensor& got, const std::string& name) const {
    testing::expect_close(got, to_tensor(file.at(name)), 1000 * 160 * testing::epsilon(at::kDouble), name);
  }
};

TEST_F(VpGolden, Ddim) {
  for (const std::int64_t n : steps()) {
    for (const char* eta : {"0.0", "0.5", "1.0"}) {
      expect(ddim(toy, noise, schedule(), grid("ddim", Spacing::leading, n), std::stod(eta), rows),
             fmt::format("ddim.{}.{}", n, eta));
    }
  }
}

TEST_F(VpGolden, DpmSolver) {
  for (const std::int64_t n : steps()) {
    expect(dpmpp2m(toy, noise, schedule(), grid("dpmpp2m", Spacing::linspace, n)),
           fmt::format("dpmpp2m.{}", n));
  }
}

TEST_F(VpGolden, UniPc) {
  for (const std::int64_t n : steps()) {
    expect(unipc(toy, noise, schedule(), grid("unipc", Spacing::linspace, n)), fmt::format("unipc.{}", n));
  }
}

TEST_F(VpGolden, Ddpm) {
  for (const std::int64_t n : steps()) {
    if (n < 2) continue;
    const VpSchedule kept = schedule().respaced(n);
    EXPECT_EQ(kept.timesteps, grids.at(fmt::format("ddpm.{}", n)).get<std::vector<std::int64_t>>());
    expect(ddpm(toy, noise, kept, rows), fmt::format("ddpm.{}", n));
  }
  EXPECT_EQ(schedule().respaced(250).timesteps, grids.at("ddpm.250").get<std::vector<std::int64_t>>());
}

TEST_F(VpGolden, HeunAndEulerInSigma) {
  for (const std::int64_t n : steps()) {
    if (n < 2) continue;
    const std::vector<double> sigmas = karras_sigmas_of(schedule(), n, 0.002, 80, 7);
    for (const int churn : {0, 5}) {
      const Churn put_back{.s_churn = static_cast<double>(churn), .round_sigma = [](double sigma) {
                             return schedule().sigma(nearest_step(schedule(), sigma));
                           }};
      const Denoiser d = as_denoiser(toy, schedule());
      expect(heun(d, noise, sigmas, put_back, rows), fmt::format("heun.{}.{}", n, churn));
      expect(euler(d, noise, sigmas, put_back, rows), fmt::format("euler.{}.{}", n, churn));
    }
  }
}

}  // namespace
}  // namespace diffit::diffusion

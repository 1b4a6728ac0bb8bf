#include "diffusion/sampler.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

#include "diffusion/samplers.h"

namespace diffit::diffusion {

std::vector<double> karras_sigmas(std::int64_t steps, double sigma_min, double sigma_max, double rho) {
  DIFFIT_CHECK(steps >= 1, "steps: wanted at least 1, got {}", steps);
  DIFFIT_CHECK(sigma_min > 0 && sigma_max > sigma_min, "wanted 0 < sigma-min < sigma-max, got {} and {}",
               sigma_min, sigma_max);
  DIFFIT_CHECK(rho > 0, "rho: wanted above 0, got {}", rho);
  const double from = std::pow(sigma_max, 1 / rho), to = std::pow(sigma_min, 1 / rho);
  std::vector<double> sigmas{sigma_max};
  for (std::int64_t i = 1; i < steps; ++i) {
    sigmas.push_back(
        std::pow(from + static_cast<double>(i) / static_cast<double>(steps - 1) * (to - from), rho));
  }
  sigmas.push_back(0);
  return sigmas;
}

double Churn::gamma(double sigma, std::int64_t steps) const {
  if (sigma < s_min || sigma > s_max) return 0;
  return std::min(s_churn / static_cast<double>(steps), std::sqrt(2.0) - 1);
}

std::int64_t Churn::noisy_steps(const std::vector<double>& sigmas) const {
  const auto steps = static_cast<std::int64_t>(sigmas.size()) - 1;
  return std::count_if(sigmas.begin(), sigmas.end() - 1,
                       [&](double sigma) { return gamma(sigma, steps) > 0; });
}

namespace {

/// EDM algorithm 2; without `correct`, Euler's method.
at::Tensor edm_sampler(const Denoiser& denoise, const at::Tensor& unit_noise, const std::vector<double>& t,
                       const Churn& churn, const StepNoise& step_noise, const StepProgress& progress,
                       bool correct) {
  const auto steps = static_cast<std::int64_t>(t.size()) - 1;
  std::int64_t noisy_steps = 0;
  at::Tensor x_next = unit_noise.to(at::kDouble) * t[0];
  for (std::int64_t i = 0; i < steps; ++i) {
    const double t_i = t[static_cast<std::size_t>(i)], t_next = t[static_cast<std::size_t>(i) + 1];
    const double gamma = churn.gamma(t_i, steps);
    const double t_hat =
        gamma > 0 && churn.round_sigma ? churn.round_sigma(t_i + gamma * t_i) : t_i + gamma * t_i;
    at::Tensor x_hat = x_next;
    if (gamma > 0) {
      const at::Tensor eps = step_noise(noisy_steps++).to(at::kDouble) * churn.s_noise;
      x_hat = x_next + std::sqrt(t_hat * t_hat - t_i * t_i) * eps;
    }
    const at::Tensor d = (x_hat - denoise(x_hat, t_hat)) / t_hat;
    x_next = x_hat + (t_next - t_hat) * d;
    if (correct && t_next != 0) {
      const at::Tensor d_next = (x_next - denoise(x_next, t_next)) / t_next;
      x_next = x_hat + (t_next - t_hat) * 0.5 * (d + d_next);
    }
    if (progress) progress(i + 1, steps);
  }
  return x_next;
}

}  // namespace

at::Tensor heun(const Denoiser& denoise, const at::Tensor& unit_noise, const std::vector<double>& sigmas,
                const Churn& churn, const StepNoise& step_noise, const StepProgress& progress) {
  return edm_sampler(denoise, unit_noise, sigmas, churn, step_noise, progress, true);
}

at::Tensor euler(const Denoiser& denoise, const at::Tensor& unit_noise, const std::vector<double>& sigmas,
                 const Churn& churn, const StepNoise& step_noise, const StepProgress& progress) {
  return edm_sampler(denoise, unit_noise, sigmas, churn, step_noise, progress, false);
}

extern const Sampler sampler_heun;
const Sampler sampler_heun{
    .id = SamplerId::heun,
    .name = "heun",
    .title = "Heun's method",
    .source = "Karras 2022",
    .evaluations = 2,
    .usual_steps = 18,
    .least_steps = 2,
    .most_steps = 100000,
    .needs_timesteps = false,
    .uses_sigmas = true,
    .noisy_steps = [](const SamplerGrid& g) { return g.request.churn.noisy_steps(g.sigmas); },
    .run =
        [](const SamplerInput& in) {
          return heun(in.denoise, in.start, in.sigmas, in.churn, in.noise, in.progress);
        },
};

extern const Sampler sampler_euler;
const Sampler sampler_euler{
    .id = SamplerId::euler,
    .name = "euler",
    .title = "Euler's method",
    .source = "Karras 2022",
    .evaluations = 1,
    .usual_steps = 18,
    .least_steps = 2,
    .most_steps = 100000,
    .needs_timesteps = false,
    .uses_sigmas = true,
    .noisy_steps = [](const SamplerGrid& g) { return g.request.churn.noisy_steps(g.sigmas); },
    .run =
        [](const SamplerInput& in) {
          return euler(in.denoise, in.start, in.sigmas, in.churn, in.noise, in.progress);
        },
};

}  // namespace diffit::diffusion

// Samplers of EDM (Karras et al. 2022).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "base/layers.h"

namespace diffit::diffusion {

/// D(x; sigma): x [B, ...] float64, sigma > 0 -> [B, ...] float64 (computed in the precision of the network).
using Denoiser = std::function<at::Tensor(const at::Tensor& x, double sigma)>;

/// Returns unit noise of x's shape for the k-th step that adds noise (k = 0, 1, ...).
using StepNoise = std::function<at::Tensor(std::int64_t k)>;

/// Called after each step with the number of steps done and the total. May throw to cancel.
using StepProgress = std::function<void(std::int64_t done, std::int64_t steps)>;

/// Returns sigma_i = (sigma_max^(1/rho) + i/(N-1) (sigma_min^(1/rho) - sigma_max^(1/rho)))^rho for i < N,
/// followed by 0 (EDM eq. 5): steps + 1 values. Throws Error(invalid) unless steps >= 1, 0 < sigma_min <
/// sigma_max and rho > 0.
std::vector<double> karras_sigmas(std::int64_t steps, double sigma_min = 0.002, double sigma_max = 80,
                                  double rho = 7);

/// Stochasticity of EDM algorithm 2: noise is added while s_min <= sigma <= s_max.
struct Churn {
  double s_churn = 0, s_min = 0, s_max = 1e300, s_noise = 1;
  /// Maps an increased noise level to the nearest one that the network supports; unset: all are supported.
  std::function<double(double sigma)> round_sigma = {};

  /// Returns gamma_i for noise level `sigma` and N steps.
  double gamma(double sigma, std::int64_t steps) const;
  /// Number of steps that add noise on the grid `sigmas`, which ends with 0.
  std::int64_t noisy_steps(const std::vector<double>& sigmas) const;
};

/// Heun's second-order method (EDM algorithm 2; without churn, algorithm 1). `sigmas` ends with 0.
/// `unit_noise` [B, ...] is scaled by sigmas[0]; the state is float64. Makes 2N - 1 evaluations for N steps.
/// Returns x_0 in float64.
at::Tensor heun(const Denoiser& denoise, const at::Tensor& unit_noise, const std::vector<double>& sigmas,
                const Churn& churn, const StepNoise& step_noise, const StepProgress& progress = {});

/// Euler's method on the same grid: algorithm 2 without the correction. Makes N evaluations.
at::Tensor euler(const Denoiser& denoise, const at::Tensor& unit_noise, const std::vector<double>& sigmas,
                 const Churn& churn, const StepNoise& step_noise, const StepProgress& progress = {});

}  // namespace diffit::diffusion

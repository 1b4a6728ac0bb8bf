// Common parts of the VP samplers: the interface of the network and the timestep grids.
#pragma once

#include "diffusion/sampler.h"
#include "diffusion/vp.h"

namespace diffit::diffusion {

/// Prediction of the network for x_t, float64.
struct NoisePrediction {
  at::Tensor eps;  // eps_theta(x_t, t) [B, C, ...]
  at::Tensor v;    // position of the variance in its range, [B, C, ...]; undefined if not learned
};

/// Evaluates the network at timestep t of the original process (VpSchedule::timesteps): x [B, C, ...]
/// float64.
using NoisePredictor = std::function<NoisePrediction(const at::Tensor& x, std::int64_t t)>;

/// Spacing of the timesteps of ddim, dpmpp2m and unipc in 0..T-1. The names are those of diffusers.
enum class Spacing {
  leading,   // 0, floor(T / steps), 2 floor(T / steps), ...
  linspace,  // `steps` equal distances from 0 to T - 1, rounded half to even, without 0
  trailing,  // T - 1, T - 1 - T / steps, ..., rounded half to even
};

/// Parses the name of a spacing. Throws Error(invalid) for any other string.
Spacing spacing_named(const std::string& name);

/// Returns the timesteps, noisiest first; they are distinct. Throws Error(invalid) unless 1 <= steps <= T
/// (linspace: < T).
std::vector<std::int64_t> timestep_grid(Spacing spacing, std::int64_t steps, std::int64_t T = 1000);

/// Returns x_0 = x_t / sqrt(abar) - sqrt(1 / abar - 1) eps.
at::Tensor x0_of(const at::Tensor& x, const at::Tensor& eps, double alpha_bar);

}  // namespace diffit::diffusion

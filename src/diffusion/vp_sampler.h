// What the samplers of the VP process have in common: the network as they see it, and their time grids.
#pragma once

#include "diffusion/sampler.h"
#include "diffusion/vp.h"

namespace diffit {

/// What the network says of x_t, float64.
struct NoisePrediction {
  at::Tensor eps;  // eps_theta(x_t, t) [B, C, ...]
  at::Tensor v;    // the variance's place in its range, [B, C, ...]; undefined where it is not learned
};

/// The network at timestep t of the original process (VpSchedule::timesteps): x [B, C, ...] float64.
using NoisePredictor = std::function<NoisePrediction(const at::Tensor& x, std::int64_t t)>;

/// How the timesteps of ddim, dpmpp2m and unipc lie in 0..T-1. The names are diffusers'.
enum class Spacing {
  leading,   // 0, floor(T / steps), 2 floor(T / steps), ...
  linspace,  // steps equal distances from 0 to T - 1, rounded half to even, without 0
  trailing,  // T - 1, T - 1 - T / steps, ..., rounded half to even
};

/// Error(invalid) for other names.
Spacing spacing_named(const std::string& name);

/// The timesteps from the noisiest on. 1 <= steps <= T (linspace: < T); they are distinct.
std::vector<std::int64_t> timestep_grid(Spacing spacing, std::int64_t steps, std::int64_t T = 1000);

/// x_0 = x_t / sqrt(abar) - sqrt(1 / abar - 1) eps.
at::Tensor x0_of(const at::Tensor& x, const at::Tensor& eps, double alpha_bar);

}  // namespace diffit

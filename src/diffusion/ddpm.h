// Ancestral sampling (DDPM algorithm 2) with the learned variance range of Improved DDPM.
#pragma once

#include "diffusion/vp_sampler.h"

namespace diffit {

/// x_{i-1} ~ N(posterior mean of x_0's estimate, exp(learned log variance)) from i = size()-1 down; the last
/// step, i = 0, adds no noise. `schedule` is respaced already. x_0 is not clipped.
///   noise [B, C, ...]: the start, unit variance; step_noise: asked size() - 1 times
/// size() evaluations. Without a learned variance (v undefined) it is the posterior's own. -> x_0, float64.
at::Tensor ddpm(const NoisePredictor& network, const at::Tensor& noise, const VpSchedule& schedule,
                const StepNoise& step_noise, const StepProgress& progress = {});

}  // namespace diffit

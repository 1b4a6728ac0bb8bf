// Ancestral sampling (DDPM algorithm 2) with the learned variance range of Improved DDPM.
#pragma once

#include "diffusion/vp_sampler.h"

namespace diffit::diffusion {

/// Samples x_{i-1} ~ N(posterior mean for the estimate of x_0, exp(learned log variance)) from i = size() - 1
/// down; the last step, i = 0, adds no noise. x_0 is not clipped.
/// `schedule`: already respaced. `noise` [B, C, ...]: initial state with unit variance. `step_noise` is
/// called size() - 1 times. Makes size() evaluations. Uses the posterior variance if the network predicts
/// none (v undefined). Returns x_0 in float64.
at::Tensor ddpm(const NoisePredictor& network, const at::Tensor& noise, const VpSchedule& schedule,
                const StepNoise& step_noise, const StepProgress& progress = {});

}  // namespace diffit::diffusion

// Song, Meng, Ermon 2020, "Denoising diffusion implicit models".
#pragma once

#include "diffusion/vp_sampler.h"

namespace diffit::diffusion {

/// DDIM eq. 12 over the timesteps of `grid`, noisiest first, followed by abar = 1. eta = 0 is deterministic;
/// eta = 1 adds as much noise as DDPM with the posterior variance. The last step adds none.
/// `noise` [B, C, ...]: initial state with unit variance. `step_noise` is called grid.size() - 1 times if
/// eta > 0. Makes grid.size() evaluations. Returns x_0 in float64.
at::Tensor ddim(const NoisePredictor& network, const at::Tensor& noise, const VpSchedule& schedule,
                const std::vector<std::int64_t>& grid, double eta, const StepNoise& step_noise,
                const StepProgress& progress = {});

}  // namespace diffit::diffusion

// Song, Meng, Ermon 2020, "Denoising diffusion implicit models".
#pragma once

#include "diffusion/vp_sampler.h"

namespace diffit::diffusion {

/// DDIM eq. 12 over the timesteps of `grid`, noisiest first, and then abar = 1. eta 0 is deterministic, eta 1
/// adds as much noise as DDPM with the posterior's variance; the last step adds none.
///   noise [B, C, ...]: the start, unit variance; step_noise: asked grid.size() - 1 times where eta > 0
/// grid.size() evaluations. -> x_0, float64.
at::Tensor ddim(const NoisePredictor& network, const at::Tensor& noise, const VpSchedule& schedule,
                const std::vector<std::int64_t>& grid, double eta, const StepNoise& step_noise,
                const StepProgress& progress = {});

}  // namespace diffit::diffusion

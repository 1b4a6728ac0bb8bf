// Lu, Zhou, Bao, Chen, Li, Zhu 2022, "DPM-Solver++: fast solver for guided sampling of diffusion
// probabilistic models": the second-order multistep solver.
#pragma once

#include "diffusion/vp_sampler.h"

namespace diffit::diffusion {

/// DPM-Solver++(2M) (algorithm 2, midpoint form) over the timesteps of `grid`, noisiest first, followed by
/// sigma = 0. The first step is first-order because it has no history, the last one because lambda becomes
/// infinite.
/// `noise` [B, C, ...]: initial state with unit variance.
/// Makes grid.size() evaluations. Returns x_0 in float64.
at::Tensor dpmpp2m(const NoisePredictor& network, const at::Tensor& noise, const VpSchedule& schedule,
                   const std::vector<std::int64_t>& grid, const StepProgress& progress = {});

}  // namespace diffit::diffusion

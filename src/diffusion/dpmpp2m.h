// Lu, Zhou, Bao, Chen, Li, Zhu 2022, "DPM-Solver++: fast solver for guided sampling of diffusion
// probabilistic models": the multistep solver of second order.
#pragma once

#include "diffusion/vp_sampler.h"

namespace diffit {

/// DPM-Solver++(2M) (algorithm 2, its midpoint form) over the timesteps of `grid`, noisiest first, and then
/// sigma = 0. The first step and the last are of first order: x_0's history begins, and lambda ends at
/// infinity.
///   noise [B, C, ...]: the start, unit variance
/// grid.size() evaluations. -> x_0, float64.
at::Tensor dpmpp2m(const NoisePredictor& network, const at::Tensor& noise, const VpSchedule& schedule,
                   const std::vector<std::int64_t>& grid, const StepProgress& progress = {});

}  // namespace diffit

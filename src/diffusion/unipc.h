// Zhao, Bai, Rao, Zhou, Lu 2023, "UniPC: a unified predictor-corrector framework for fast sampling of
// diffusion models".
#pragma once

#include "diffusion/vp_sampler.h"

namespace diffit {

/// UniPC of order 2 in x_0, B(h) = e^h - 1 ("bh2"), over the timesteps of `grid`, noisiest first, and then
/// sigma = 0. Each point that was predicted is corrected with the network's answer at it, which costs no
/// evaluation; the first step and the last are of first order.
///   noise [B, C, ...]: the start, unit variance
/// grid.size() evaluations. -> x_0, float64.
at::Tensor unipc(const NoisePredictor& network, const at::Tensor& noise, const VpSchedule& schedule,
                 const std::vector<std::int64_t>& grid, const StepProgress& progress = {});

}  // namespace diffit

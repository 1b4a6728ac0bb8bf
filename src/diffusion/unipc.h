// Zhao, Bai, Rao, Zhou, Lu 2023, "UniPC: a unified predictor-corrector framework for fast sampling of
// diffusion models".
#pragma once

#include "diffusion/vp_sampler.h"

namespace diffit::diffusion {

/// UniPC of order 2 in x_0 with B(h) = e^h - 1 ("bh2"), over the timesteps of `grid`, noisiest first,
/// followed by sigma = 0. Each predicted point is corrected with the network's evaluation at that point,
/// which costs no further evaluation. The first and the last step are first-order.
/// `noise` [B, C, ...]: initial state with unit variance.
/// Makes grid.size() evaluations. Returns x_0 in float64.
at::Tensor unipc(const NoisePredictor& network, const at::Tensor& noise, const VpSchedule& schedule,
                 const std::vector<std::int64_t>& grid, const StepProgress& progress = {});

}  // namespace diffit::diffusion

// The VP network seen as EDM's denoiser, for heun() and euler() (EDM appendix C.3.3 and table 1, "iDDPM").
#pragma once

#include "diffusion/vp_sampler.h"

namespace diffit {

/// The index of the schedule whose sigma is nearest.
std::int64_t nearest_step(const VpSchedule& schedule, double sigma);

/// D(x; sigma) = x - sigma eps(x / sqrt(1 + sigma^2), t(sigma)); sigma must be one of the schedule's.
Denoiser as_denoiser(const NoisePredictor& network, const VpSchedule& schedule);

/// karras_sigmas() with both ends clipped to the schedule's sigmas (0.01 to 157 for the linear one) and each
/// rounded to the nearest of them; 0 last.
std::vector<double> karras_sigmas_of(const VpSchedule& schedule, std::int64_t steps, double sigma_min,
                                     double sigma_max, double rho);

}  // namespace diffit

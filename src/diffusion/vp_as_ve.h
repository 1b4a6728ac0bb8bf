// VP network as an EDM denoiser, for use with heun() and euler() (EDM appendix C.3.3 and table 1, "iDDPM").
#pragma once

#include "diffusion/vp_sampler.h"

namespace diffit::diffusion {

/// Returns D(x; sigma) = x - sigma eps(x / sqrt(1 + sigma^2), t(sigma)). sigma must be a noise level of the
/// schedule.
Denoiser as_denoiser(const NoisePredictor& network, const VpSchedule& schedule);

/// Returns karras_sigmas() with both ends clipped to the range of the schedule (0.01 to 157 for the linear
/// one) and each value rounded to the nearest noise level of the schedule, followed by 0.
std::vector<double> karras_sigmas_of(const VpSchedule& schedule, std::int64_t steps, double sigma_min,
                                     double sigma_max, double rho);

}  // namespace diffit::diffusion

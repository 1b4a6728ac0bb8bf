#include "diffusion/vp_as_ve.h"

#include <algorithm>
#include <cmath>

namespace diffit::diffusion {

Denoiser as_denoiser(const NoisePredictor& network, const VpSchedule& schedule) {
  return [network, schedule](const at::Tensor& x, double sigma) {
    const auto i = static_cast<std::size_t>(nearest_step(schedule, sigma));
    return x - sigma * network(x / std::sqrt(1 + sigma * sigma), schedule.timesteps[i]).eps;
  };
}

std::vector<double> karras_sigmas_of(const VpSchedule& schedule, std::int64_t steps, double sigma_min,
                                     double sigma_max, double rho) {
  const double least = schedule.sigma(0), most = schedule.sigma(schedule.size() - 1);
  std::vector<double> sigmas =
      karras_sigmas(steps, std::max(sigma_min, least), std::min(sigma_max, most), rho);
  for (std::size_t i = 0; i + 1 < sigmas.size(); ++i) {
    sigmas[i] = schedule.sigma(nearest_step(schedule, sigmas[i]));
  }
  return sigmas;
}

}  // namespace diffit::diffusion

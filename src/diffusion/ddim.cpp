#include "diffusion/ddim.h"

#include <cmath>

namespace diffit::diffusion {

at::Tensor ddim(const NoisePredictor& network, const at::Tensor& noise, const VpSchedule& schedule,
                const std::vector<std::int64_t>& grid, double eta, const StepNoise& step_noise,
                const StepProgress& progress) {
  const auto steps = static_cast<std::int64_t>(grid.size());
  at::Tensor x = noise.to(at::kDouble);
  for (std::int64_t i = 0; i < steps; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const double a = schedule.alpha_bar[static_cast<std::size_t>(grid[at])];
    const double a_next = i + 1 < steps ? schedule.alpha_bar[static_cast<std::size_t>(grid[at + 1])] : 1;
    const at::Tensor eps = network(x, grid[at]).eps;
    const double w = eta * std::sqrt((1 - a_next) / (1 - a)) * std::sqrt(1 - a / a_next);
    x = std::sqrt(a_next) * x0_of(x, eps, a) + std::sqrt(1 - a_next - w * w) * eps;
    if (w > 0) x = x + w * step_noise(i).to(at::kDouble);
    if (progress) progress(i + 1, steps);
  }
  return x;
}

}  // namespace diffit::diffusion

#include "diffusion/ddim.h"

#include <cmath>

#include "diffusion/samplers.h"

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

extern const Sampler sampler_ddim;
const Sampler sampler_ddim{
    .id = SamplerId::ddim,
    .name = "ddim",
    .title = "DDIM",
    .source = "Song 2020",
    .usual_steps = 50,
    .most_steps = 1000,
    .uses_eta = true,
    .uses_spacing = true,
    .usual_spacing = Spacing::leading,
    .noisy_steps = [](const SamplerGrid& g) -> std::int64_t {
      g.grid();
      return g.request.eta > 0 ? g.request.steps - 1 : 0;
    },
    .run =
        [](const SamplerInput& in) {
          return ddim(in.network, in.start, *in.timesteps, in.grid(), in.request.eta, in.noise, in.progress);
        },
};

}  // namespace diffit::diffusion

#include "diffusion/dpmpp2m.h"

#include <cmath>

#include "diffusion/samplers.h"

namespace diffit::diffusion {

at::Tensor dpmpp2m(const NoisePredictor& network, const at::Tensor& noise, const VpSchedule& schedule,
                   const std::vector<std::int64_t>& grid, const StepProgress& progress) {
  const auto steps = static_cast<std::int64_t>(grid.size());
  at::Tensor x = noise.to(at::kDouble), x0_before;
  double h_before = 0;
  for (std::int64_t i = 0; i < steps; ++i) {
    const std::int64_t t = grid[static_cast<std::size_t>(i)];
    const double a = schedule.alpha_bar[static_cast<std::size_t>(t)];
    const at::Tensor x0 = x0_of(x, network(x, t).eps, a);
    if (i + 1 == steps) {
      x = x0;
    } else {
      const std::int64_t next = grid[static_cast<std::size_t>(i) + 1];
      const double a_next = schedule.alpha_bar[static_cast<std::size_t>(next)];
      const double h = std::log(schedule.sigma(t) / schedule.sigma(next));  // lambda = -log sigma
      at::Tensor d = x0;
      if (i > 0) d = x0 + (x0 - x0_before) * (h / (2 * h_before));  // r = h_before / h
      x = std::sqrt((1 - a_next) / (1 - a)) * x - std::sqrt(a_next) * std::expm1(-h) * d;
      h_before = h;
      x0_before = x0;
    }
    if (progress) progress(i + 1, steps);
  }
  return x;
}

extern const Sampler sampler_dpmpp2m;
const Sampler sampler_dpmpp2m{
    .id = SamplerId::dpmpp2m,
    .name = "dpmpp2m",
    .title = "DPM-Solver++(2M)",
    .source = "Lu 2022",
    .usual_steps = 20,
    .most_steps = 1000,
    .uses_spacing = true,
    .noisy_steps = [](const SamplerGrid& g) -> std::int64_t {
      g.grid();
      return 0;
    },
    .run =
        [](const SamplerInput& in) {
          return dpmpp2m(in.network, in.start, *in.timesteps, in.grid(), in.progress);
        },
};

}  // namespace diffit::diffusion

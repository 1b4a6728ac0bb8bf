#include "diffusion/vp_sampler.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace diffit::diffusion {

Spacing spacing_named(const std::string& name) {
  if (name == "leading") return Spacing::leading;
  if (name == "linspace") return Spacing::linspace;
  if (name == "trailing") return Spacing::trailing;
  reject("`spacing`: wanted leading, linspace or trailing, got '{}'", name);
}

std::vector<std::int64_t> timestep_grid(Spacing spacing, std::int64_t steps, std::int64_t T) {
  const std::int64_t most = spacing == Spacing::linspace ? T - 1 : T;
  DIFFIT_CHECK(steps >= 1 && steps <= most, "`steps`: wanted 1 to {}, got {}", most, steps);
  const auto n = static_cast<double>(steps);
  std::vector<std::int64_t> grid;
  for (std::int64_t i = 0; i < steps; ++i) {
    switch (spacing) {
      case Spacing::leading:
        grid.push_back((steps - 1 - i) * (T / steps));
        break;
      case Spacing::linspace:
        grid.push_back(static_cast<std::int64_t>(
            std::nearbyint(static_cast<double>(steps - i) * (static_cast<double>(T - 1) / n))));
        break;
      case Spacing::trailing:
        grid.push_back(static_cast<std::int64_t>(std::nearbyint(
                           static_cast<double>(T) - static_cast<double>(i) * (static_cast<double>(T) / n))) -
                       1);
        break;
    }
  }
  return grid;
}

at::Tensor x0_of(const at::Tensor& x, const at::Tensor& eps, double alpha_bar) {
  return x / std::sqrt(alpha_bar) - std::sqrt(1 / alpha_bar - 1) * eps;
}

}  // namespace diffit::diffusion

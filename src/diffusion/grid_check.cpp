#include "diffusion/grid_check.h"

#include <algorithm>

#include "base/error.h"
#include "diffusion/vp_as_ve.h"

namespace diffit::diffusion {

namespace {

constexpr std::int64_t kTimesteps = 1000;
// EDM trains and samples up to sigma 80. Half of that still hides an image with a standard deviation of 0.5.
constexpr double kLowestStart = 40;

std::int64_t start_of(std::int64_t steps) {
  return (steps - 1) * (kTimesteps / steps);
}

/// Whether a leading grid starts at timestep 900 or above and omits less than one of its steps, or `slack`
/// timesteps, in addition to the step that every leading grid omits.
bool reaches_the_top(std::int64_t steps, std::int64_t slack) {
  const std::int64_t step = kTimesteps / steps, left_out = kTimesteps - step - start_of(steps);
  return start_of(steps) >= kTimesteps - 100 && left_out < std::max(step, slack);
}

std::string leading_warning(std::int64_t steps) {
  constexpr std::int64_t kNoDifference = 20;
  if (reaches_the_top(steps, kNoDifference)) return {};
  std::int64_t below = steps, above = steps;
  while (below > 0 && !reaches_the_top(below, 0)) --below;
  while (!reaches_the_top(above, 0)) ++above;
  return fmt::format(
      "{} steps with `spacing` leading start at timestep {} of {} and leave the highest noise out, which "
      "makes "
      "samples worse: take `spacing` trailing, or `steps` {}{}",
      steps, start_of(steps), kTimesteps - 1, below > 0 ? fmt::format("{} or ", below) : std::string(),
      above);
}

std::string sigma_warning(double start, double most) {
  if (start >= std::min(kLowestStart, most)) return {};
  return fmt::format(
      "`sigma_max` {:.4g} leaves the highest noise out, which makes samples worse: take at least {:.4g} "
      "(default 80)",
      start, std::min(kLowestStart, most));
}

}  // namespace

std::string grid_warning(const LatentRequest& request) {
  const Sampler& sampler = sampler_of(request.sampler);
  if (sampler.uses_spacing) {
    return spacing_of(request) == Spacing::leading ? leading_warning(request.steps) : std::string();
  }
  if (!sampler.uses_sigmas) return {};  // respacing always keeps the last timestep
  return sigma_warning(request.sigma_max, kLowestStart);
}

std::string grid_warning(const ImageConfig& config, const ImageRequest& request) {
  return sigma_warning(request.sigma_max, sigma_range(parameterisation_of(config).schedule).most);
}

}  // namespace diffit::diffusion

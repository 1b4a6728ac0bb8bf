#include "report/trajectory.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace diffit::report {

std::vector<std::size_t> spread(std::size_t all, std::size_t count) {
  std::vector<std::size_t> chosen;
  if (count >= all || count < 2) {
    for (std::size_t i = 0; i < std::min(all, std::max<std::size_t>(count, 1)); ++i) chosen.push_back(i);
    return chosen;
  }
  for (std::size_t i = 0; i < count; ++i) chosen.push_back((i * (all - 1) + (count - 1) / 2) / (count - 1));
  return chosen;
}

Trajectories trace(const Denoiser& denoise, const at::Tensor& unit_noise, const std::vector<double>& sigmas,
                   std::size_t shown, const ToImages& to_images, const StepProgress& progress) {
  const auto batch = static_cast<std::size_t>(unit_noise.size(0));
  Trajectories t;
  t.states.resize(batch);
  t.denoised.resize(batch);
  const auto finite_images = [&](const at::Tensor& samples) {
    if (!at::isfinite(samples).all().item<bool>()) fail("the images of the model are not finite");
    return to_images(samples.to(at::kCPU).to(at::kFloat));
  };
  const auto keep = [&](const at::Tensor& samples, std::vector<std::vector<Image>>& into) {
    std::vector<Image> images = finite_images(samples);
    for (std::size_t b = 0; b < batch; ++b) into[b].push_back(std::move(images[b]));
  };

  const std::vector<std::size_t> levels = spread(sigmas.size() - 1, shown);
  std::size_t step = 0;
  bool first_of_step = true;  // Heun's second evaluation is at the next level
  const Denoiser watched = [&](const at::Tensor& x, double sigma) {
    at::Tensor d = denoise(x, sigma);
    if (first_of_step && std::find(levels.begin(), levels.end(), step) != levels.end()) {
      t.sigmas.push_back(sigma);
      keep(x / std::sqrt(1 + sigma * sigma), t.states);
      keep(d, t.denoised);
    }
    first_of_step = false;
    return d;
  };
  const at::Tensor samples =
      heun(watched, unit_noise, sigmas, {}, {}, [&](std::int64_t done, std::int64_t steps) {
        step = static_cast<std::size_t>(done);
        first_of_step = true;
        if (progress) progress(done, steps);
      });
  t.results = finite_images(samples);
  t.samples = samples.to(at::kCPU).to(at::kFloat);
  return t;
}

}  // namespace diffit::report

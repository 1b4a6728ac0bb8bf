#include "jobs/edit_image.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "diffusion/samplers.h"
#include "jobs/given_image.h"

namespace diffit::jobs {

namespace {

constexpr double kUsualStrength = 0.6;
constexpr std::int64_t kMostNumbers = std::int64_t{1} << 30;  // of the starting noise of all images

double strength_of(const SampleSpec& spec) {
  return spec.strength.value_or(spec.mask.empty() ? kUsualStrength : 1);
}

/// The noise level a share 1 - strength into the grid of the request (EDM eq. 5), one that the model knows.
double first_level(const SampleRequest& r, Schedule schedule, double strength) {
  const SigmaRange range = sigma_range(schedule);
  const double low = std::pow(std::max(r.sigma_min, range.least), 1 / r.rho),
               high = std::pow(std::min(r.sigma_max, range.most), 1 / r.rho);
  const double sigma = std::pow(low + strength * (high - low), r.rho);
  if (schedule != Schedule::vp_linear) return sigma;
  const VpSchedule timesteps = timesteps_of(schedule);
  return timesteps.sigma(nearest_step(timesteps, sigma));
}

/// [1, R, R] bool: true where a pixel of the mask is nearer to white than to black. A latent is kept only if
/// all of its pixels are.
at::Tensor read_mask(const SampleSpec& spec, const EditedModel& model) {
  const at::Tensor pixels = given_image(read_image(spec.mask), model.side, 1, "`mask`");
  const std::int64_t factor = model.side / model.shape[1];
  const at::Tensor made = pixels.gt(0).to(at::kFloat);
  const at::Tensor mask = (factor > 1 ? at::max_pool2d(made, {factor, factor}) : made).gt(0.5).select(0, 0);
  DIFFIT_CHECK(mask.any().item<bool>(), "`mask` {}: is black everywhere, so that nothing would be made",
               spec.mask);
  return mask;
}

}  // namespace

void check_edit(const SampleSpec& spec, const SampleRequest& request) {
  DIFFIT_CHECK(!spec.init_image.empty() || !spec.strength, "`strength` needs `init_image`");
  DIFFIT_CHECK(!spec.init_image.empty() || spec.mask.empty(), "`mask` needs `init_image`");
  if (spec.init_image.empty()) return;
  const double strength = strength_of(spec);
  DIFFIT_CHECK(strength > 0 && strength <= 1, "`strength`: wanted above 0, up to 1, got {}", strength);
  DIFFIT_CHECK(spec.init_noise.empty(), "`init_image` and `init_noise` contradict each other");
  const Sampler& sampler = sampler_of(request.sampler);
  DIFFIT_CHECK(strength == 1 || sampler.uses_sigmas,
               "`strength` {}: to begin with an image needs `sampler` heun or euler, got {}", strength,
               sampler.name);
  DIFFIT_CHECK(strength < 1 || !spec.mask.empty(),
               "`init_image`: has no effect with `strength` 1, which begins with noise alone; take less, or "
               "give `mask`");
}

KnownPart apply_edit(const SampleSpec& spec, const EditedModel& model, SampleRequest& request) {
  if (spec.init_image.empty()) return {};
  const at::Tensor x0 = model.encode(read_image(spec.init_image)).to(at::kCPU, at::kFloat);
  if (const double strength = strength_of(spec); strength < 1) {
    const auto count = static_cast<std::int64_t>(request.seeds.size());
    DIFFIT_CHECK(count <= kMostNumbers / x0.numel(),
                 "`init_image`: wanted at most {} images at a time, got {}", kMostNumbers / x0.numel(),
                 count);
    request.sigma_max = first_level(request, model.schedule, strength);
    std::vector<at::Tensor> starts;
    for (const std::uint64_t seed : request.seeds)
      starts.push_back(initial_noise(seed, model.shape) + x0.select(0, 0) / request.sigma_max);
    request.init_noise = at::stack(starts);
  }
  if (spec.mask.empty()) return {};
  return {x0.select(0, 0), read_mask(spec, model)};
}

}  // namespace diffit::jobs

#include "jobs/edit_image.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"
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

std::vector<double> mix_of(const SampleSpec& spec) {
  std::vector<double> shares;
  for (const std::string& part : split(spec.mix.value_or(""), ',')) {
    shares.push_back(parse_double(trim(part), "`mix`"));
    DIFFIT_CHECK(shares.back() >= 0 && shares.back() <= 1, "`mix`: wanted shares from 0 to 1, got {}", part);
  }
  return shares;
}

/// A point on the arc from a to b, of the same shape.
at::Tensor spherical(const at::Tensor& a, const at::Tensor& b, double share) {
  const at::Tensor from = a.to(at::kDouble), to = b.to(at::kDouble);
  const double cosine = (from * to).sum().item<double>() / (from.norm() * to.norm()).item<double>();
  const double angle = std::acos(std::clamp(cosine, -1.0, 1.0));
  if (angle < 1e-6) return a;
  return ((std::sin((1 - share) * angle) * from + std::sin(share * angle) * to) / std::sin(angle))
      .to(at::kFloat);
}

void check_count(const SampleRequest& request, std::int64_t numbers, const char* field) {
  const std::int64_t most = kMostNumbers / numbers, count = std::ssize(request.seeds);
  DIFFIT_CHECK(count <= most, "{}: wanted at most {} images at a time, got {}", field, most, count);
}

}  // namespace

void check_edit(const SampleSpec& spec, const SampleRequest& request) {
  DIFFIT_CHECK(spec.mix_seed.has_value() == spec.mix.has_value(), "`{}` needs `{}`",
               spec.mix ? "mix" : "mix_seed", spec.mix ? "mix_seed" : "mix");
  if (spec.mix) {
    mix_of(spec);
    DIFFIT_CHECK(*spec.mix_seed >= 0, "`mix_seed`: wanted a seed of at least 0, got {}", *spec.mix_seed);
    DIFFIT_CHECK(spec.init_noise.empty(), "`mix_seed` and `init_noise` contradict each other");
  }
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

void mix_noise(const SampleSpec& spec, const std::vector<std::int64_t>& shape, SampleRequest& request) {
  if (!spec.mix_seed) return;
  const at::Tensor other = initial_noise(static_cast<std::uint64_t>(*spec.mix_seed), shape);
  check_count(request, other.numel(), "`mix_seed`");
  const std::vector<double> shares = mix_of(spec);
  std::vector<at::Tensor> starts;
  for (std::size_t i = 0; i < request.seeds.size(); ++i)
    starts.push_back(spherical(initial_noise(request.seeds[i], shape), other, shares[i % shares.size()]));
  request.init_noise = at::stack(starts);
}

KnownPart apply_edit(const SampleSpec& spec, const EditedModel& model, SampleRequest& request) {
  if (spec.init_image.empty()) return {};
  const at::Tensor x0 = model.encode(read_image(spec.init_image)).to(at::kCPU, at::kFloat);
  if (const double strength = strength_of(spec); strength < 1) {
    check_count(request, x0.numel(), "`init_image`");
    request.sigma_max = first_level(request, model.schedule, strength);
    std::vector<at::Tensor> starts;
    for (std::size_t i = 0; i < request.seeds.size(); ++i) {
      const at::Tensor noise = request.init_noise.defined() ? request.init_noise[static_cast<std::int64_t>(i)]
                                                            : initial_noise(request.seeds[i], model.shape);
      starts.push_back(noise + x0.select(0, 0) / request.sigma_max);
    }
    request.init_noise = at::stack(starts);
  }
  if (spec.mask.empty()) return {};
  return {x0.select(0, 0), read_mask(spec, model)};
}

}  // namespace diffit::jobs

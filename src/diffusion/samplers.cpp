#include "diffusion/samplers.h"

#include <array>

#include "base/error.h"

namespace diffit::diffusion {

#define DIFFIT_SAMPLER(name) extern const Sampler sampler_##name;
#include "diffusion/samplers.def"
#undef DIFFIT_SAMPLER

namespace {

constexpr std::array kSamplers = {
#define DIFFIT_SAMPLER(name) &sampler_##name,
#include "diffusion/samplers.def"
#undef DIFFIT_SAMPLER
};

/// Returns "a", "a and b", "a, b and c".
std::string listed(const std::vector<std::string>& words, const char* last) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? fmt::format(" {} ", last) : ", ";
    text += words[i];
  }
  return text;
}

}  // namespace

std::vector<std::int64_t> SamplerGrid::grid() const {
  return timestep_grid(spacing_of(request), request.steps, timesteps->size());
}

std::string Sampler::fields() const {
  std::vector<std::string> names;
  if (uses_sigmas) return "`churn` and the like, `sigma_min`, `sigma_max`, `rho`";
  if (uses_eta) names.emplace_back("`eta`");
  if (uses_spacing) names.emplace_back("`spacing`");
  return names.empty() ? "`steps` alone" : listed(names, "and");
}

std::span<const Sampler* const> samplers() {
  return kSamplers;
}

const Sampler& sampler_of(SamplerId id) {
  return *kSamplers.at(static_cast<std::size_t>(id));
}

std::string sampler_names(bool timesteps) {
  std::vector<std::string> names;
  for (const Sampler* sampler : kSamplers) {
    if (timesteps || !sampler->needs_timesteps) names.emplace_back(sampler->name);
  }
  return listed(names, "or");
}

const Sampler& sampler_named(const std::string& name, bool timesteps) {
  for (const Sampler* sampler : kSamplers) {
    if (name == sampler->name && (timesteps || !sampler->needs_timesteps)) return *sampler;
  }
  reject("`sampler`: {} models take {}, got '{}'", timesteps ? "latent" : "image", sampler_names(timesteps),
         name);
}

Spacing spacing_of(const SampleRequest& request) {
  return request.spacing.value_or(sampler_of(request.sampler).usual_spacing);
}

}  // namespace diffit::diffusion

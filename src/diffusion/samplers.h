// The samplers as a table: names, sources, defaults, the fields that each of them uses, and how it is run.
// Checks, errors and help texts are made from it. A new sampler is a file with its formula and its entry, and
// a line in samplers.def.
#pragma once

#include <span>
#include <string>

#include "diffusion/sample_request.h"

namespace diffit::diffusion {

/// Time grid of a request on the noise schedule of a model.
struct SamplerGrid {
  const SampleRequest& request;
  const VpSchedule* timesteps = nullptr;  // of a discrete schedule; null: the schedule is continuous
  std::vector<double> sigmas = {};        // for samplers that use sigmas: the noise levels, then 0

  /// Timesteps of ddim and the like, noisiest first. Throws Error(invalid) for a number of steps out of
  /// range.
  std::vector<std::int64_t> grid() const;
};

/// Input of a sampler for one batch.
struct SamplerInput : SamplerGrid {
  NoisePredictor network = {};  // of a discrete schedule
  Denoiser denoise = {};        // of every schedule; noise levels must be those of the schedule
  Churn churn = {};             // of the request; rounds to the levels of a discrete schedule
  at::Tensor start = {};        // [B, C, ...] float32, unit variance
  StepNoise noise = {};
  StepProgress progress = {};
};

struct Sampler {
  SamplerId id;
  const char* name;
  const char* title;             // for help texts
  const char* source;            // paper
  std::int64_t evaluations = 1;  // of the network per step; 2: the last step has 1
  std::int64_t usual_steps = 0, least_steps = 1, most_steps = 0;
  bool needs_timesteps = true;  // only for models with discrete timesteps
  bool uses_eta = false;        // field eta
  bool uses_spacing = false;    // field spacing
  bool uses_sigmas = false;     // fields sigma_min, sigma_max, rho and churn
  Spacing usual_spacing = Spacing::linspace;
  /// Number of steps that add noise. Throws Error(invalid) for a number of steps that is out of range.
  std::int64_t (*noisy_steps)(const SamplerGrid& grid);
  /// Returns x_0 in float64.
  at::Tensor (*run)(const SamplerInput& input);

  /// Returns the number of evaluations of the guided network per image.
  std::int64_t evaluations_of(std::int64_t steps) const { return evaluations * steps - (evaluations - 1); }
  /// Returns the fields that it uses besides steps, as text: "`eta` and `spacing`".
  std::string fields() const;
};

/// Returns all samplers, in the order of samplers.def.
std::span<const Sampler* const> samplers();
const Sampler& sampler_of(SamplerId id);
/// Returns the sampler with that name for models with (or without) discrete timesteps. Throws Error(invalid),
/// listing the names, for any other.
const Sampler& sampler_named(const std::string& name, bool timesteps);
/// Returns their names: "ddpm, ddim or heun".
std::string sampler_names(bool timesteps);

/// Returns the spacing of the timesteps: as requested, or the default of the sampler.
Spacing spacing_of(const SampleRequest& request);

}  // namespace diffit::diffusion

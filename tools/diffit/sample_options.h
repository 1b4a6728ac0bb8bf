// The options of `diffit sample`: as typed, under a preset, and as a request for the model at hand.
#pragma once

#include "data/class_names.h"
#include "diffusion/generate.h"
#include "diffusion/latent_generate.h"
#include "diffusion/images.h"
#include "io/tensors/weights_file.h"
#include "tools/diffit/guidance_options.h"

namespace diffit::cli {

/// What was not typed is open (or ""): a preset fills it, else the usual value for the model and the sampler.
struct SampleOptions {
  std::string model, out, classes = "all", preset, vae, autoguidance, init_noise, step_noise;
  std::int64_t count = 0, columns = 0, batch = 0;
  bool restart = false;
  std::optional<std::string> seeds, sampler, spacing, rounding;
  std::optional<std::int64_t> steps;
  std::optional<double> eta, sigma_min, sigma_max, rho, s_churn, s_min, s_max, s_noise;
  GuidanceOptions guidance;
};

void add_sample_options(CLI::App& command, SampleOptions& options);

/// Fills what is open out of --preset. Error(invalid) where the preset is not for `model`.
void apply_preset(SampleOptions& options, const ModelConfig& model, const std::string& where);

/// Seeds, labels, noise, guidance and sampler for the model. Error(invalid) for values out of range, and for
/// options that would do nothing with this sampler.
///   names: of the model's classes, where it has any
ImageRequest image_request(const SampleOptions& options, const ImageConfig& config,
                           const std::optional<ClassNames>& names);
LatentRequest latent_request(const SampleOptions& options, const LatentConfig& config,
                             const std::optional<ClassNames>& names);

Rounding rounding_of(const SampleOptions& options);

/// How the samples were made, the options as they would be typed again: for --json, and stored with samples.
Json describe(const SampleOptions& options, const ImageRequest& request);
Json describe(const SampleOptions& options, const LatentRequest& request);

}  // namespace diffit::cli

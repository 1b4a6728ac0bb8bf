#include "tools/diffit/sample_options.h"

#include <string_view>

#include "base/bundled.h"
#include "diffusion/samplers.h"
#include "jobs/sample_spec.h"
#include "jobs/sampling_preset.h"
#include "tools/diffit/guidance_options.h"

namespace diffit::cli {

namespace {

/// Names of the samplers that use a field: "heun, euler".
std::string names_of(bool Sampler::*uses) {
  std::vector<std::string> names;
  for (const Sampler* sampler : samplers()) {
    if (sampler->*uses) names.emplace_back(sampler->name);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

/// "heun (2N-1 evaluations; default for image-space models)".
std::string description_of(const Sampler& sampler) {
  std::string text = fmt::format("{} ({}", sampler.name, sampler.evaluations == 2 ? "2N-1" : "N");
  if (std::string_view(sampler.name) == kImageSampler) text += "; default for image-space models";
  if (std::string_view(sampler.name) == kLatentSampler) text += "; default for latent models";
  return text + ")";
}

std::string sampler_help() {
  std::vector<std::string> all, latent;
  for (const Sampler* sampler : samplers())
    (sampler->needs_timesteps ? latent : all).push_back(description_of(*sampler));
  return fmt::format("sampler, with its number of evaluations for N steps: {}; only for latent models: {}",
                     fmt::join(all, ", "), fmt::join(latent, ", "));
}

std::string steps_help() {
  std::vector<std::string> defaults;
  for (const Sampler* sampler : samplers())
    defaults.push_back(fmt::format("{} {}", sampler->name, sampler->usual_steps));
  return fmt::format("number of steps N; default {}", fmt::join(defaults, ", "));
}

std::string spacing_help() {
  constexpr const char* spacings[] = {"leading", "linspace", "trailing"};
  std::vector<std::string> defaults;
  for (const Sampler* sampler : samplers()) {
    for (const char* spacing : spacings) {
      if (sampler->uses_spacing && spacing_named(spacing) == sampler->usual_spacing)
        defaults.push_back(fmt::format("{} (default {})", sampler->name, spacing));
    }
  }
  return fmt::format("spacing of the timesteps of {}: {}", fmt::join(defaults, ", "),
                     fmt::join(spacings, ", "));
}

}  // namespace

void add_sample_options(CLI::App& command, SampleSpec& o) {
  command
      .add_option(
          "-m,--model", o.model,
          fmt::format("model file (.safetensors), or a bundled model: {}", fmt::join(bundled_models(), ", ")))
      ->required();
  command
      .add_option("-o,--out", o.out,
                  "output: x.png (one image, or a grid), dir/ (one PNG per seed), x.npz (arr_0, arr_1), "
                  "x.safetensors (`samples`, float32; latents for a latent model)")
      ->required();
  command.add_option("-n,--count", o.count, "number of images, with seeds 0 to N-1; default 1")
      ->check(CLI::Range(std::int64_t{1}, kLargestImageCount));
  command.add_option("--seeds", o.seeds, "seeds A-B or a,b,c: one image per seed");
  command
      .add_option("--classes", o.classes,
                  "classes of the images: all that had training images (in turn), random (by the seed), or "
                  "a,b,c (in turn): labels, or names (diffit info MODEL --classes)")
      ->capture_default_str();
  command.add_option(
      "--preset", o.preset,
      fmt::format("options of published samples: {}; other options on the command line take precedence",
                  fmt::join(sampling_preset_names(), ", ")));
  command.add_option("--sampler", o.sampler, sampler_help());
  command.add_option("--steps", o.steps, steps_help());
  command.add_option(
      "--eta", o.eta,
      names_of(&Sampler::uses_eta) + ": 0 (default) is deterministic, 1 adds as much noise as ddpm");
  command.add_option("--spacing", o.spacing, spacing_help());
  const std::string with_sigmas = names_of(&Sampler::uses_sigmas);
  command.add_option("--sigma-min", o.sigma_min,
                     with_sigmas + ": lowest noise level of the grid; default 0.002");
  command.add_option("--sigma-max", o.sigma_max,
                     with_sigmas + ": highest noise level of the grid; default 80");
  command.add_option("--rho", o.rho, with_sigmas + ": exponent of the grid; default 7");
  command.add_option("--churn", o.churn,
                     with_sigmas + ": EDM's S_churn, noise added while sampling; default 0");
  command.add_option("--s-min", o.s_min, "lowest noise level with churn; default 0");
  command.add_option("--s-max", o.s_max, "highest noise level with churn; default no limit");
  command.add_option("--s-noise", o.s_noise, "standard deviation of the churn noise; default 1");
  add_guidance_options(command, o.guidance, Guidance{}.tolerance);
  command.add_option("--autoguidance", o.autoguidance,
                     "a weaker model with the same condition: guidance moves away from its prediction "
                     "instead of the unconditional one");
  command.add_option("--vae", o.vae,
                     "autoencoder that decodes the samples of a latent model; default the one that the model "
                     "names, or NAME-vae.safetensors in its folder");
  command.add_option("--rounding", o.rounding,
                     "rounding to bytes: nearest (default) or truncate (as in DiffiT's released code)");
  command
      .add_option("--batch", o.batch,
                  "images per batch; does not change the result; default 64 for image-space models, 8 for "
                  "latent models")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20));
  command.add_option("--columns", o.columns, "columns of a grid; default nearly square, or one per class")
      ->check(CLI::Range(0, 100000));
  command.add_option("--init-image", o.init_image,
                     "an image that sampling begins with instead of noise alone (SDEdit); heun, euler");
  command.add_option("--strength", o.strength,
                     "how far from --init-image: above 0 (the same image) to 1 (noise alone); default 0.6, "
                     "with --mask 1");
  command.add_option(
      "--mask", o.mask,
      "an image: where it is white, --init-image is made anew, where black, kept (inpainting)");
  command.add_option("--mix-seed", o.mix_seed,
                     "mixes the starting noise of every image with that of this seed: variations of it, or "
                     "interpolation to it");
  command.add_option("--mix", o.mix, "shares of --mix-seed's noise, from 0 to 1: 0.8, or 0,0.5,1 (in turn)");
  command.add_option("--init-noise", o.init_noise,
                     ".safetensors file with `noise` [N,C,H,W], replaces the initial noise of the seeds");
  command.add_option("--step-noise", o.step_noise,
                     ".safetensors file with `noise` [steps,N,C,H,W], replaces the noise of the seeds in "
                     "ddpm, ddim with --eta, and churn");
  command.add_flag("--restart", o.restart,
                   "start again: discard an interrupted x.npz or x.safetensors, and remove all images that "
                   "diffit sample wrote to dir/");
}

}  // namespace diffit::cli

#include "tools/diffit/sample_options.h"

#include "base/bundled.h"
#include "jobs/sample_spec.h"
#include "jobs/sampling_preset.h"
#include "tools/diffit/guidance_options.h"

namespace diffit::cli {

void add_sample_options(CLI::App& command, SampleSpec& o) {
  command
      .add_option("-m,--model", o.model,
                  fmt::format(".safetensors, or bundled: {}", fmt::join(bundled_models(), ", ")))
      ->required();
  command
      .add_option("-o,--out", o.out,
                  "x.png (one picture, or a grid), dir/ (a PNG a seed), x.npz (arr_0, arr_1), x.safetensors "
                  "(`samples`, float32; latents of a latent model)")
      ->required();
  command.add_option("-n,--count", o.count, "pictures, with seeds 0 to N-1; default 1")
      ->check(CLI::Range(std::int64_t{1}, kLargestImageCount));
  command.add_option("--seeds", o.seeds, "A-B or a,b,c: one picture each");
  command
      .add_option("--classes", o.classes,
                  "all (in turn), random (by the seed), or a,b,c in turn: labels, or names (diffit info "
                  "MODEL --classes)")
      ->capture_default_str();
  command.add_option("--preset", o.preset,
                     fmt::format("how published pictures were sampled: {}; options typed beside it win",
                                 fmt::join(sampling_preset_names(), ", ")));
  command.add_option("--sampler", o.sampler,
                     "heun (2N-1 evaluations; default of image models) or euler (N); latent models also ddpm "
                     "(their default), ddim, dpmpp2m, unipc (N each)");
  command.add_option("--steps", o.steps,
                     "N; default 18 for heun and euler, ddpm 250, ddim 50, dpmpp2m 20, unipc 12");
  command.add_option("--eta", o.eta, "ddim: 0 (default) is deterministic, 1 adds as much noise as ddpm");
  command.add_option("--spacing", o.spacing,
                     "timesteps of ddim (default leading), dpmpp2m and unipc (linspace): leading, linspace, "
                     "trailing");
  command.add_option("--sigma-min", o.sigma_min,
                     "heun, euler: lowest noise level of the grid; default 0.002");
  command.add_option("--sigma-max", o.sigma_max, "heun, euler: highest noise level of the grid; default 80");
  command.add_option("--rho", o.rho, "heun, euler: bend of the grid; default 7");
  command.add_option("--churn", o.churn,
                     "heun, euler: EDM's S_churn, noise put back while sampling; default 0");
  command.add_option("--s-min", o.s_min, "lowest noise level of churn; default 0");
  command.add_option("--s-max", o.s_max, "highest noise level of churn; default no limit");
  command.add_option("--s-noise", o.s_noise, "deviation of churn's noise; default 1");
  add_guidance_options(command, o.guidance, Guidance{}.tolerance);
  command.add_option(
      "--autoguidance", o.autoguidance,
      "a weaker model, with the same condition: --guidance W leads away from it instead of from "
      "the unconditional half");
  command.add_option(
      "--vae", o.vae,
      "autoencoder that makes pictures of a latent model's samples; default the one that the model "
      "names or that lies beside it as NAME-vae.safetensors");
  command.add_option("--rounding", o.rounding,
                     "of pictures to bytes: nearest (default) or truncate (DiffiT's released code)");
  command
      .add_option("--batch", o.batch,
                  "pictures at a time; the result is the same; default 64 for image models, "
                  "8 for latent models")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20));
  command.add_option("--columns", o.columns, "of a grid; default as square as can be, or one a class")
      ->check(CLI::Range(0, 100000));
  command.add_option("--init-noise", o.init_noise,
                     ".safetensors with `noise` [N,C,H,W] instead of the seeds' start");
  command.add_option(
      "--step-noise", o.step_noise,
      ".safetensors with `noise` [steps,N,C,H,W] instead of the seeds': ddpm, ddim with --eta, churn");
  command.add_flag(
      "--restart", o.restart,
      "begin again: forget what an interrupted run left of x.npz or x.safetensors, and remove from "
      "dir/ the images that diffit sample made there, of whatever request");
}

}  // namespace diffit::cli

#include "tools/diffit/sample_options.h"

#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "nn/layers/weights_io.h"
#include "tools/diffit/machine.h"
#include "tools/diffit/sampling_preset.h"

namespace diffit::cli {

namespace {

constexpr std::int64_t kLargestImageCount = 100'000'000;

/// "A-B", "a,b,c" or both mixed.
std::vector<std::uint64_t> parse_seeds(const std::string& text) {
  std::vector<std::uint64_t> seeds;
  for (const std::string& part : split(text, ',')) {
    const std::size_t dash = part.find('-', 1);
    const std::int64_t first = parse_int(part.substr(0, dash), "--seeds");
    const std::int64_t last = dash == std::string::npos ? first : parse_int(part.substr(dash + 1), "--seeds");
    DIFFIT_CHECK(first >= 0 && first <= last, "--seeds: wanted A-B with 0 <= A <= B or a,b,c, got '{}'",
                 part);
    DIFFIT_CHECK(last - first < kLargestImageCount, "--seeds: '{}' are more than {} pictures", part,
                 kLargestImageCount);
    for (std::int64_t seed = first; seed <= last; ++seed) seeds.push_back(static_cast<std::uint64_t>(seed));
  }
  return seeds;
}

std::vector<std::uint64_t> seeds_of(const SampleOptions& options) {
  if (!options.seeds) {
    std::vector<std::uint64_t> seeds(static_cast<std::size_t>(std::max<std::int64_t>(options.count, 1)));
    std::iota(seeds.begin(), seeds.end(), 0);
    return seeds;
  }
  std::vector<std::uint64_t> seeds = parse_seeds(*options.seeds);
  DIFFIT_CHECK(options.count == 0 || static_cast<std::size_t>(options.count) == seeds.size(),
               "-n {} and --seeds with {} entries contradict each other: leave one away", options.count,
               seeds.size());
  return seeds;
}

/// A label, or the name of a class.
std::int64_t label_of(const std::string& text, std::int64_t classes, const std::optional<ClassNames>& names) {
  const bool number = text.find_first_not_of("-0123456789") == std::string::npos;
  if (!number && names) return names->find(trim(text));
  const std::int64_t label = parse_int(
      text, number ? "--classes" : "--classes (all, random or labels; this model's classes have no names)");
  DIFFIT_CHECK(label >= 0 && label < classes, "--classes: the model has classes 0 to {}, got {}", classes - 1,
               label);
  return label;
}

std::vector<std::int64_t> labels_of(const SampleOptions& options, const std::vector<std::uint64_t>& seeds,
                                    std::int64_t classes, const std::optional<ClassNames>& names) {
  if (classes == 0) {
    DIFFIT_CHECK(options.classes == "all", "--classes {}: the model is unconditional", options.classes);
    return {};
  }
  std::vector<std::int64_t> listed;
  if (options.classes == "all") {
    listed.resize(static_cast<std::size_t>(classes));
    std::iota(listed.begin(), listed.end(), 0);
  } else if (options.classes != "random") {
    for (const std::string& part : split(options.classes, ',')) {
      listed.push_back(label_of(part, classes, names));
    }
  }
  std::vector<std::int64_t> labels;
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    labels.push_back(
        options.classes == "random"
            ? Random(seeds[i], stream_of(Purpose::classes)).below(static_cast<std::uint32_t>(classes))
            : listed[i % listed.size()]);
  }
  return labels;
}

at::Tensor noise_of(const std::string& path, const char* option) {
  if (path.empty()) return {};
  const SafetensorsFile file(path);
  const TensorView& view = file.at("noise");
  DIFFIT_CHECK(view.dtype == Dtype::f32, "{} {}: wanted `noise` as F32, got {}", option, path,
               safetensors_name(view.dtype));
  at::Tensor noise = to_tensor(view);
  DIFFIT_CHECK(at::isfinite(noise).all().item<bool>(), "{} {}: `noise` holds NaN or infinity", option, path);
  return noise;
}

void fill_request(const SampleOptions& options, std::int64_t classes, const std::optional<ClassNames>& names,
                  SampleRequest& request) {
  request.seeds = seeds_of(options);
  request.labels = labels_of(options, request.seeds, classes, names);
  request.batch = options.batch;
  request.init_noise = noise_of(options.init_noise, "--init-noise");
  request.step_noise = noise_of(options.step_noise, "--step-noise");
  request.init_noise_from = "--init-noise " + options.init_noise;
  request.step_noise_from = "--step-noise " + options.step_noise;
  DIFFIT_CHECK(options.autoguidance.empty() || request.guidance.on(),
               "--autoguidance does nothing without --guidance W, other than 1");
}

/// heun and euler: grid and churn, in range.
template <class Request>
void fill_edm(const SampleOptions& o, Request& r) {
  r.sigma_min = o.sigma_min.value_or(r.sigma_min);
  r.sigma_max = o.sigma_max.value_or(r.sigma_max);
  r.rho = o.rho.value_or(r.rho);
  r.churn.s_churn = o.s_churn.value_or(0);
  r.churn.s_min = o.s_min.value_or(r.churn.s_min);
  r.churn.s_max = o.s_max.value_or(r.churn.s_max);
  r.churn.s_noise = o.s_noise.value_or(r.churn.s_noise);
  DIFFIT_CHECK(r.steps >= 2 && r.steps <= 100000, "--steps: wanted 2 to 100000, got {}", r.steps);
  DIFFIT_CHECK(r.sigma_min > 0 && r.sigma_min < r.sigma_max && std::isfinite(r.sigma_max),
               "--sigma-min, --sigma-max: wanted 0 < min < max, got {} and {}", r.sigma_min, r.sigma_max);
  DIFFIT_CHECK(r.rho >= 1 && r.rho <= 1000, "--rho: wanted 1 to 1000, got {}", r.rho);
  DIFFIT_CHECK(r.churn.s_churn >= 0 && r.churn.s_noise >= 0, "--churn and --s-noise: wanted at least 0");
}

/// Error(invalid) for an option that was typed and that the sampler does not look at.
void refuse_idle(const SampleOptions& o, const std::string& sampler, const char* takes, bool edm, bool eta,
                 bool spacing) {
  const std::pair<const char*, bool> idle[] = {{"--churn", !edm && o.s_churn},
                                               {"--s-min", !edm && o.s_min},
                                               {"--s-max", !edm && o.s_max},
                                               {"--s-noise", !edm && o.s_noise},
                                               {"--sigma-min", !edm && o.sigma_min},
                                               {"--sigma-max", !edm && o.sigma_max},
                                               {"--rho", !edm && o.rho},
                                               {"--eta", !eta && o.eta},
                                               {"--spacing", !spacing && o.spacing}};
  for (const auto& [option, typed] : idle) {
    DIFFIT_CHECK(!typed, "{}: does nothing with {}, which takes {}", option, sampler, takes);
  }
}

template <class Request>
void describe_edm(Json& object, const Request& r) {
  object.update({{"sigma_min", r.sigma_min}, {"sigma_max", r.sigma_max}, {"rho", r.rho}});
  if (r.churn.s_churn > 0) {
    object.update({{"churn", r.churn.s_churn},
                   {"s_min", r.churn.s_min},
                   {"s_max", r.churn.s_max},
                   {"s_noise", r.churn.s_noise}});
  }
}

void describe_rest(Json& object, const SampleOptions& options, const SampleRequest& r) {
  object.update(describe(r.guidance));
  if (!options.autoguidance.empty()) object["autoguidance"] = options.autoguidance;
  if (!options.vae.empty()) object["vae"] = options.vae;
  if (rounding_of(options) != Rounding::nearest) object["rounding"] = *options.rounding;
  object["dtype"] = r.dtype == at::kFloat ? "f32" : "bf16";
  if (r.init_noise.defined()) object["init_noise"] = options.init_noise;
  if (r.step_noise.defined()) object["step_noise"] = options.step_noise;
}

}  // namespace

void apply_preset(SampleOptions& o, const ModelConfig& model, const std::string& where) {
  if (o.preset.empty()) return;
  const SamplingPreset preset = read_sampling_preset(o.preset);
  const auto* latent = std::get_if<LatentConfig>(&model);
  DIFFIT_CHECK(latent != nullptr, "--preset {}: for latent models; {} is an image-space model", o.preset,
               where);
  DIFFIT_CHECK(
      preset.input_size == 0 || latent->input_size == preset.input_size,
      "--preset {}: for latents of {}x{} (pictures of {} with Stable Diffusion's autoencoder); those of {} "
      "are {}x{}: take the preset of that size",
      o.preset, preset.input_size, preset.input_size, 8 * preset.input_size, where, latent->input_size,
      latent->input_size);
  const PresetOptions& p = preset.sample;
  const auto fill = [](auto& option, const auto& value) {
    if (!option && value != std::decay_t<decltype(value)>{}) option = value;
  };
  // The steps of a preset belong to its sampler.
  if (!o.sampler || *o.sampler == p.sampler) fill(o.steps, p.steps);
  fill(o.sampler, p.sampler);
  fill(o.guidance.scale, p.guidance);
  fill(o.guidance.schedule, p.guidance_schedule);
  fill(o.guidance.channels, p.guidance_channels);
  fill(o.rounding, p.rounding);
}

ImageRequest image_request(const SampleOptions& options, const ImageConfig& config,
                           const std::optional<ClassNames>& names) {
  ImageRequest request;
  const std::string name = options.sampler.value_or("heun");
  request.sampler = edm_sampler_named(name);
  request.steps = options.steps.value_or(18);
  refuse_idle(options, name + " on image models", "--churn and the like, --sigma-min, --sigma-max, --rho",
              true, false, false);
  DIFFIT_CHECK(options.vae.empty(), "--vae: belongs to latent models; this one makes pictures by itself");
  fill_edm(options, request);
  request.guidance = parse_guidance(options.guidance, {.channels = 0, .tolerance = Guidance{}.tolerance});
  fill_request(options, config.classes, names, request);
  return request;
}

LatentRequest latent_request(const SampleOptions& options, const LatentConfig& config,
                             const std::optional<ClassNames>& names) {
  LatentRequest request;
  const std::string name = options.sampler.value_or("ddpm");
  request.sampler = latent_sampler_named(name);
  if (options.spacing) request.spacing = spacing_named(*options.spacing);
  const auto steps = [&](std::int64_t usual, std::int64_t least, std::int64_t most) {
    request.steps = options.steps.value_or(usual);
    DIFFIT_CHECK(request.steps >= least && request.steps <= most, "--steps: {} takes {} to {}, got {}", name,
                 least, most, request.steps);
  };
  const std::int64_t most = request.spacing.value_or(Spacing::linspace) == Spacing::linspace ? 999 : 1000;
  switch (request.sampler) {
    case LatentSampler::ddpm:
      steps(250, 2, 1000);
      refuse_idle(options, name, "--steps alone", false, false, false);
      break;
    case LatentSampler::ddim:
      steps(50, 1, request.spacing == Spacing::linspace ? 999 : 1000);
      refuse_idle(options, name, "--eta and --spacing", false, true, true);
      request.eta = options.eta.value_or(0);
      DIFFIT_CHECK(request.eta >= 0 && request.eta <= 1, "--eta: wanted 0 to 1, got {}", request.eta);
      break;
    case LatentSampler::dpmpp2m:
      steps(20, 1, most);
      refuse_idle(options, name, "--spacing", false, false, true);
      break;
    case LatentSampler::unipc:
      steps(12, 1, most);
      refuse_idle(options, name, "--spacing", false, false, true);
      break;
    case LatentSampler::heun:
    case LatentSampler::euler:
      steps(18, 2, 100000);
      refuse_idle(options, name, "--churn and the like, --sigma-min, --sigma-max, --rho", true, false, false);
      fill_edm(options, request);
      break;
  }
  // The released arithmetic guides three channels; another model as the weaker one is not of its making.
  request.guidance = parse_guidance(options.guidance, {.channels = options.autoguidance.empty() ? 3 : 0,
                                                       .tolerance = Guidance{}.tolerance});
  fill_request(options, config.classes, names, request);
  return request;
}

Rounding rounding_of(const SampleOptions& options) {
  return options.rounding ? rounding_named(*options.rounding, "--rounding") : Rounding::nearest;
}

Json describe(const SampleOptions& options, const ImageRequest& r) {
  Json object = {{"model", options.model},
                 {"sampler", r.sampler == EdmSampler::heun ? "heun" : "euler"},
                 {"steps", r.steps}};
  describe_edm(object, r);
  describe_rest(object, options, r);
  return object;
}

Json describe(const SampleOptions& options, const LatentRequest& r) {
  Json object = {{"model", options.model}, {"sampler", options.sampler.value_or("ddpm")}, {"steps", r.steps}};
  if (!options.preset.empty()) object["preset"] = options.preset;
  if (r.sampler == LatentSampler::ddim) object["eta"] = r.eta;
  if (options.spacing) object["spacing"] = *options.spacing;
  if (r.sampler == LatentSampler::heun || r.sampler == LatentSampler::euler) describe_edm(object, r);
  describe_rest(object, options, r);
  return object;
}

void add_sample_options(CLI::App& command, SampleOptions& o) {
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
  command.add_option("--churn", o.s_churn,
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

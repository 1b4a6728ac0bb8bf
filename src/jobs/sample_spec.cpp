#include "jobs/sample_spec.h"

#include <numeric>

#include "base/bundled.h"
#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "jobs/guidance_spec.h"
#include "jobs/sampling_preset.h"
#include "nn/layers/weights_io.h"

namespace diffit::jobs {

namespace {

/// "A-B", "a,b,c" or both mixed.
std::vector<std::uint64_t> parse_seeds(const std::string& text) {
  std::vector<std::uint64_t> seeds;
  for (const std::string& part : split(text, ',')) {
    const std::size_t dash = part.find('-', 1);
    const std::int64_t first = parse_int(part.substr(0, dash), "`seeds`");
    const std::int64_t last = dash == std::string::npos ? first : parse_int(part.substr(dash + 1), "`seeds`");
    DIFFIT_CHECK(first >= 0 && first <= last, "`seeds`: wanted A-B with 0 <= A <= B or a,b,c, got '{}'",
                 part);
    DIFFIT_CHECK(last - first < kLargestImageCount, "`seeds`: '{}' are more than {} pictures", part,
                 kLargestImageCount);
    for (std::int64_t seed = first; seed <= last; ++seed) seeds.push_back(static_cast<std::uint64_t>(seed));
  }
  return seeds;
}

std::vector<std::uint64_t> seeds_of(const SampleSpec& options) {
  if (!options.seeds) {
    std::vector<std::uint64_t> seeds(static_cast<std::size_t>(std::max<std::int64_t>(options.count, 1)));
    std::iota(seeds.begin(), seeds.end(), 0);
    return seeds;
  }
  std::vector<std::uint64_t> seeds = parse_seeds(*options.seeds);
  DIFFIT_CHECK(options.count == 0 || static_cast<std::size_t>(options.count) == seeds.size(),
               "`count` {} and `seeds` with {} entries contradict each other: leave one away", options.count,
               seeds.size());
  return seeds;
}

/// A label, or the name of a class.
std::int64_t label_of(const std::string& text, std::int64_t classes, const std::optional<ClassNames>& names) {
  const bool number = text.find_first_not_of("-0123456789") == std::string::npos;
  if (!number && names) return names->find(trim(text));
  const std::int64_t label = parse_int(
      text, number ? "`classes`" : "`classes` (all, random or labels; this model's classes have no names)");
  DIFFIT_CHECK(label >= 0 && label < classes, "`classes`: the model has classes 0 to {}, got {}", classes - 1,
               label);
  return label;
}

std::vector<std::int64_t> labels_of(const SampleSpec& options, const std::vector<std::uint64_t>& seeds,
                                    std::int64_t classes, const std::optional<ClassNames>& names) {
  if (classes == 0) {
    DIFFIT_CHECK(options.classes == "all", "`classes` {}: the model is unconditional", options.classes);
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

void fill_request(const SampleSpec& options, std::int64_t classes, const std::optional<ClassNames>& names,
                  SampleRequest& request) {
  request.seeds = seeds_of(options);
  request.labels = labels_of(options, request.seeds, classes, names);
  request.batch = options.batch;
  request.init_noise = noise_of(options.init_noise, "`init_noise`");
  request.step_noise = noise_of(options.step_noise, "`step_noise`");
  request.init_noise_from = "`init_noise` " + options.init_noise;
  request.step_noise_from = "`step_noise` " + options.step_noise;
  DIFFIT_CHECK(options.autoguidance.empty() || request.guidance.on(),
               "`autoguidance` does nothing without `guidance` W, other than 1");
}

/// heun and euler: grid and churn, in range.
template <class Request>
void fill_edm(const SampleSpec& o, Request& r) {
  r.sigma_min = o.sigma_min.value_or(r.sigma_min);
  r.sigma_max = o.sigma_max.value_or(r.sigma_max);
  r.rho = o.rho.value_or(r.rho);
  r.churn.s_churn = o.churn.value_or(0);
  r.churn.s_min = o.s_min.value_or(r.churn.s_min);
  r.churn.s_max = o.s_max.value_or(r.churn.s_max);
  r.churn.s_noise = o.s_noise.value_or(r.churn.s_noise);
  DIFFIT_CHECK(r.steps >= 2 && r.steps <= 100000, "`steps`: wanted 2 to 100000, got {}", r.steps);
  DIFFIT_CHECK(r.sigma_min > 0 && r.sigma_min < r.sigma_max && std::isfinite(r.sigma_max),
               "`sigma_min`, `sigma_max`: wanted 0 < min < max, got {} and {}", r.sigma_min, r.sigma_max);
  DIFFIT_CHECK(r.rho >= 1 && r.rho <= 1000, "`rho`: wanted 1 to 1000, got {}", r.rho);
  DIFFIT_CHECK(r.churn.s_churn >= 0 && r.churn.s_noise >= 0, "`churn` and `s_noise`: wanted at least 0");
}

/// Error(invalid) for an option that was typed and that the sampler does not look at.
void refuse_idle(const SampleSpec& o, const std::string& sampler, const char* takes, bool edm, bool eta,
                 bool spacing) {
  const std::pair<const char*, bool> idle[] = {{"`churn`", !edm && o.churn},
                                               {"`s_min`", !edm && o.s_min},
                                               {"`s_max`", !edm && o.s_max},
                                               {"`s_noise`", !edm && o.s_noise},
                                               {"`sigma_min`", !edm && o.sigma_min},
                                               {"`sigma_max`", !edm && o.sigma_max},
                                               {"`rho`", !edm && o.rho},
                                               {"`eta`", !eta && o.eta},
                                               {"`spacing`", !spacing && o.spacing}};
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

void describe_rest(Json& object, const SampleSpec& options, const SampleRequest& r) {
  object.update(describe(r.guidance));
  if (!options.autoguidance.empty()) object["autoguidance"] = options.autoguidance;
  if (!options.vae.empty()) object["vae"] = options.vae;
  if (rounding_of(options) != Rounding::nearest) object["rounding"] = *options.rounding;
  object["dtype"] = r.dtype == at::kFloat ? "f32" : "bf16";
  if (r.init_noise.defined()) object["init_noise"] = options.init_noise;
  if (r.step_noise.defined()) object["step_noise"] = options.step_noise;
}

}  // namespace

void apply_preset(SampleSpec& o, const ModelConfig& model, const std::string& where) {
  if (o.preset.empty()) return;
  const SamplingPreset preset = read_sampling_preset(o.preset);
  const auto* latent = std::get_if<LatentConfig>(&model);
  DIFFIT_CHECK(latent != nullptr, "`preset` {}: for latent models; {} is an image-space model", o.preset,
               where);
  DIFFIT_CHECK(
      preset.input_size == 0 || latent->input_size == preset.input_size,
      "`preset` {}: for latents of {}x{} (pictures of {} with Stable Diffusion's autoencoder); those of {} "
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

ImageRequest image_request(const SampleSpec& options, const ImageConfig& config,
                           const std::optional<ClassNames>& names) {
  ImageRequest request;
  const std::string name = options.sampler.value_or("heun");
  request.sampler = edm_sampler_named(name);
  request.steps = options.steps.value_or(18);
  refuse_idle(options, name + " on image models", "`churn` and the like, `sigma_min`, `sigma_max`, `rho`",
              true, false, false);
  DIFFIT_CHECK(options.vae.empty(), "`vae`: belongs to latent models; this one makes pictures by itself");
  fill_edm(options, request);
  request.guidance = parse_guidance(options.guidance, {.channels = 0, .tolerance = Guidance{}.tolerance});
  fill_request(options, config.classes, names, request);
  return request;
}

LatentRequest latent_request(const SampleSpec& options, const LatentConfig& config,
                             const std::optional<ClassNames>& names) {
  LatentRequest request;
  const std::string name = options.sampler.value_or("ddpm");
  request.sampler = latent_sampler_named(name);
  if (options.spacing) request.spacing = spacing_named(*options.spacing);
  const auto steps = [&](std::int64_t usual, std::int64_t least, std::int64_t most) {
    request.steps = options.steps.value_or(usual);
    DIFFIT_CHECK(request.steps >= least && request.steps <= most, "`steps`: {} takes {} to {}, got {}", name,
                 least, most, request.steps);
  };
  const std::int64_t most = request.spacing.value_or(Spacing::linspace) == Spacing::linspace ? 999 : 1000;
  switch (request.sampler) {
    case LatentSampler::ddpm:
      steps(250, 2, 1000);
      refuse_idle(options, name, "`steps` alone", false, false, false);
      break;
    case LatentSampler::ddim:
      steps(50, 1, request.spacing == Spacing::linspace ? 999 : 1000);
      refuse_idle(options, name, "`eta` and `spacing`", false, true, true);
      request.eta = options.eta.value_or(0);
      DIFFIT_CHECK(request.eta >= 0 && request.eta <= 1, "`eta`: wanted 0 to 1, got {}", request.eta);
      break;
    case LatentSampler::dpmpp2m:
      steps(20, 1, most);
      refuse_idle(options, name, "`spacing`", false, false, true);
      break;
    case LatentSampler::unipc:
      steps(12, 1, most);
      refuse_idle(options, name, "`spacing`", false, false, true);
      break;
    case LatentSampler::heun:
    case LatentSampler::euler:
      steps(18, 2, 100000);
      refuse_idle(options, name, "`churn` and the like, `sigma_min`, `sigma_max`, `rho`", true, false, false);
      fill_edm(options, request);
      break;
  }
  // The released arithmetic guides three channels; another model as the weaker one is not of its making.
  request.guidance = parse_guidance(options.guidance, {.channels = options.autoguidance.empty() ? 3 : 0,
                                                       .tolerance = Guidance{}.tolerance});
  fill_request(options, config.classes, names, request);
  return request;
}

Rounding rounding_of(const SampleSpec& options) {
  return options.rounding ? rounding_named(*options.rounding, "`rounding`") : Rounding::nearest;
}

Json describe(const SampleSpec& options, const ImageRequest& r) {
  Json object = {{"model", options.model},
                 {"sampler", r.sampler == EdmSampler::heun ? "heun" : "euler"},
                 {"steps", r.steps}};
  describe_edm(object, r);
  describe_rest(object, options, r);
  return object;
}

Json describe(const SampleSpec& options, const LatentRequest& r) {
  Json object = {{"model", options.model}, {"sampler", options.sampler.value_or("ddpm")}, {"steps", r.steps}};
  if (!options.preset.empty()) object["preset"] = options.preset;
  if (r.sampler == LatentSampler::ddim) object["eta"] = r.eta;
  if (options.spacing) object["spacing"] = *options.spacing;
  if (r.sampler == LatentSampler::heun || r.sampler == LatentSampler::euler) describe_edm(object, r);
  describe_rest(object, options, r);
  return object;
}

}  // namespace diffit::jobs

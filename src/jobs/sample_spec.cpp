#include "jobs/sample_spec.h"

#include <algorithm>
#include <numeric>

#include "base/bundled.h"
#include "base/error.h"
#include "base/random.h"
#include "base/text.h"
#include "jobs/edit_image.h"
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
    DIFFIT_CHECK(last - first < kLargestImageCount, "`seeds`: '{}' has more than {} seeds", part,
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
               "`count` {} and `seeds` with {} entries contradict each other: specify only one of them",
               options.count, seeds.size());
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

/// All labels except those without training images.
std::vector<std::int64_t> trained_labels(std::int64_t classes, const KnownClasses& known) {
  std::vector<std::int64_t> labels;
  for (std::int64_t label = 0; label < classes; ++label) {
    if (!std::binary_search(known.empty.begin(), known.empty.end(), label)) labels.push_back(label);
  }
  return labels;
}

std::vector<std::int64_t> labels_of(const SampleSpec& options, const std::vector<std::uint64_t>& seeds,
                                    std::int64_t classes, const KnownClasses& known) {
  if (classes == 0) {
    DIFFIT_CHECK(options.classes == "all", "`classes` {}: the model is unconditional", options.classes);
    return {};
  }
  const bool random = options.classes == "random";
  std::vector<std::int64_t> listed;
  if (options.classes == "all" || random) {
    listed = trained_labels(classes, known);
  } else {
    for (const std::string& part : split(options.classes, ',')) {
      listed.push_back(label_of(part, classes, known.names));
    }
  }
  std::vector<std::int64_t> labels;
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    const std::size_t at =
        random
            ? Random(seeds[i], stream_of(Purpose::classes)).below(static_cast<std::uint32_t>(listed.size()))
            : i % listed.size();
    labels.push_back(listed[at]);
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
  DIFFIT_CHECK(at::isfinite(noise).all().item<bool>(), "{} {}: `noise` contains NaN or infinity", option,
               path);
  return noise;
}

void fill_request(const SampleSpec& options, std::int64_t classes, const KnownClasses& known,
                  SampleRequest& request) {
  check_edit(options, request);
  request.seeds = seeds_of(options);
  request.labels = labels_of(options, request.seeds, classes, known);
  request.batch = options.batch;
  request.init_noise = noise_of(options.init_noise, "`init_noise`");
  request.step_noise = noise_of(options.step_noise, "`step_noise`");
  request.init_noise_from = "`init_noise` " + options.init_noise;
  request.step_noise_from = "`step_noise` " + options.step_noise;
  DIFFIT_CHECK(options.autoguidance.empty() || request.guidance.on(),
               "`autoguidance` needs a `guidance` scale other than 1");
}

/// Noise levels and churn, in range.
void fill_sigmas(const SampleSpec& o, SampleRequest& r) {
  r.sigma_min = o.sigma_min.value_or(r.sigma_min);
  r.sigma_max = o.sigma_max.value_or(r.sigma_max);
  r.rho = o.rho.value_or(r.rho);
  r.churn.s_churn = o.churn.value_or(0);
  r.churn.s_min = o.s_min.value_or(r.churn.s_min);
  r.churn.s_max = o.s_max.value_or(r.churn.s_max);
  r.churn.s_noise = o.s_noise.value_or(r.churn.s_noise);
  DIFFIT_CHECK(r.sigma_min > 0 && r.sigma_min < r.sigma_max && std::isfinite(r.sigma_max),
               "`sigma_min`, `sigma_max`: wanted 0 < min < max, got {} and {}", r.sigma_min, r.sigma_max);
  DIFFIT_CHECK(r.rho >= 1 && r.rho <= 1000, "`rho`: wanted 1 to 1000, got {}", r.rho);
  DIFFIT_CHECK(r.churn.s_churn >= 0 && r.churn.s_noise >= 0, "`churn` and `s_noise`: wanted at least 0");
}

/// Throws Error(invalid) for a field that is set and that the sampler does not use.
void refuse_idle(const SampleSpec& o, const Sampler& sampler, const std::string& on) {
  const std::pair<const char*, bool> idle[] = {{"`churn`", !sampler.uses_sigmas && o.churn},
                                               {"`s_min`", !sampler.uses_sigmas && o.s_min},
                                               {"`s_max`", !sampler.uses_sigmas && o.s_max},
                                               {"`s_noise`", !sampler.uses_sigmas && o.s_noise},
                                               {"`sigma_min`", !sampler.uses_sigmas && o.sigma_min},
                                               {"`sigma_max`", !sampler.uses_sigmas && o.sigma_max},
                                               {"`rho`", !sampler.uses_sigmas && o.rho},
                                               {"`eta`", !sampler.uses_eta && o.eta},
                                               {"`spacing`", !sampler.uses_spacing && o.spacing}};
  for (const auto& [field, set] : idle) {
    DIFFIT_CHECK(!set, "{}: has no effect with {}{}, which uses {}", field, sampler.name, on,
                 sampler.fields());
  }
}

/// Sampler, steps, and the fields that the sampler uses.
///   usual: the sampler if none is named; on: after its name in errors
void fill_sampler(const SampleSpec& o, const std::string& usual, bool timesteps, const std::string& on,
                  SampleRequest& r) {
  const Sampler& sampler = sampler_named(o.sampler.value_or(usual), timesteps);
  r.sampler = sampler.id;
  if (timesteps && o.spacing) r.spacing = spacing_named(*o.spacing);
  r.steps = o.steps.value_or(sampler.usual_steps);
  refuse_idle(o, sampler, on);
  // A linspace grid holds both ends of the schedule, and has one step less.
  const bool both_ends = sampler.uses_spacing && spacing_of(r) == Spacing::linspace;
  const std::int64_t most = sampler.most_steps - (both_ends ? 1 : 0);
  DIFFIT_CHECK(r.steps >= sampler.least_steps && r.steps <= most, "`steps`: {} takes {} to {}, got {}",
               sampler.name, sampler.least_steps, most, r.steps);
  if (sampler.uses_sigmas) fill_sigmas(o, r);
  if (sampler.uses_eta) {
    r.eta = o.eta.value_or(0);
    DIFFIT_CHECK(r.eta >= 0 && r.eta <= 1, "`eta`: wanted 0 to 1, got {}", r.eta);
  }
}

/// Fields of the sampler, for describe().
void describe_sampler(Json& object, const SampleSpec& options, const SampleRequest& r) {
  const Sampler& sampler = sampler_of(r.sampler);
  if (sampler.uses_eta) object["eta"] = r.eta;
  if (sampler.uses_spacing && options.spacing) object["spacing"] = *options.spacing;
  if (!sampler.uses_sigmas) return;
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
  if (!options.init_image.empty()) object["init_image"] = options.init_image;
  if (options.strength) object["strength"] = *options.strength;
  if (!options.mask.empty()) object["mask"] = options.mask;
  if (options.mix_seed) object["mix_seed"] = *options.mix_seed;
  if (options.mix) object["mix"] = *options.mix;
  if (r.step_noise.defined()) object["step_noise"] = options.step_noise;
}

}  // namespace

void apply_preset(SampleSpec& o, const ModelConfig& model, const std::string& where) {
  if (o.preset.empty()) return;
  const SamplingPreset preset = read_sampling_preset(o.preset);
  const auto* latent = std::get_if<LatentConfig>(&model);
  DIFFIT_CHECK(latent != nullptr, "`preset` {}: wanted a latent model, but {} is an image-space model",
               o.preset, where);
  DIFFIT_CHECK(preset.input_size == 0 || latent->input_size == preset.input_size,
               "`preset` {}: for latents of {}x{} (images of {} with Stable Diffusion's autoencoder), but "
               "those of {} are {}x{}: use the preset for that size",
               o.preset, preset.input_size, preset.input_size, 8 * preset.input_size, where,
               latent->input_size, latent->input_size);
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

ImageRequest image_request(const SampleSpec& options, const ImageConfig& config, const KnownClasses& known) {
  ImageRequest request;
  fill_sampler(options, kImageSampler, /*timesteps=*/false, " on image models", request);
  DIFFIT_CHECK(options.vae.empty(),
               "`vae` applies only to latent models; this model generates images directly");
  request.guidance = parse_guidance(options.guidance, {.channels = 0, .tolerance = Guidance{}.tolerance});
  fill_request(options, config.classes, known, request);
  return request;
}

LatentRequest latent_request(const SampleSpec& options, const LatentConfig& config,
                             const KnownClasses& known) {
  LatentRequest request;
  fill_sampler(options, kLatentSampler, /*timesteps=*/true, "", request);
  // The released arithmetic guides three channels; another model as the weaker one is not of its making.
  request.guidance = parse_guidance(options.guidance, {.channels = options.autoguidance.empty() ? 3 : 0,
                                                       .tolerance = Guidance{}.tolerance});
  fill_request(options, config.classes, known, request);
  return request;
}

Rounding rounding_of(const SampleSpec& options) {
  return options.rounding ? rounding_named(*options.rounding, "`rounding`") : Rounding::nearest;
}

Json describe(const SampleSpec& options, const SampleRequest& r) {
  Json object = {{"model", options.model}, {"sampler", sampler_of(r.sampler).name}, {"steps", r.steps}};
  if (!options.preset.empty()) object["preset"] = options.preset;
  describe_sampler(object, options, r);
  describe_rest(object, options, r);
  return object;
}

}  // namespace diffit::jobs

// The job behind diffit/sample.h: opens models, runs the sampler, writes the output.
#include "diffit/sample.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/bundled.h"
#include "base/error.h"
#include "base/printable.h"
#include "base/text.h"
#include "config/json_text.h"
#include "diffusion/grid_check.h"
#include "diffusion/samplers.h"
#include "jobs/edit_image.h"
#include "jobs/given_image.h"
#include "jobs/guard.h"
#include "jobs/image_output_path.h"
#include "jobs/latent_source.h"
#include "jobs/no_monitor.h"
#include "jobs/part_file.h"
#include "jobs/sample_output.h"
#include "jobs/sample_spec.h"
#include "model/model_file.h"
#include "model/vae_folder.h"

namespace diffit::jobs {

namespace {

using Generate = std::function<Evaluations(const SampleSink&, const SampleProgress&, const SampleObserver&)>;
/// Samples (or latents) [B, C, H, W] float32 -> images [B, C, H, W] float32 in [-1, 1].
using Decode = std::function<at::Tensor(const at::Tensor&)>;
using Stamp = std::string (*)(const fs::path&);

KnownClasses classes_of(const WeightsFile& file, std::int64_t classes) {
  if (classes == 0) return {};
  return {class_names_of(file.path(), file.metadata(), classes, home() / "presets/classes"),
          empty_classes_of(file.metadata(), classes, file.path().string())};
}

/// A warning about the classes without training images that the request has or omits, or "".
std::string class_warning(const SampleSpec& spec, const KnownClasses& known,
                          std::span<const std::int64_t> labels) {
  const bool chosen = spec.classes != "all" && spec.classes != "random";
  std::vector<std::int64_t> unseen = known.empty;
  if (chosen) {
    std::erase_if(unseen, [&](std::int64_t label) {
      return std::find(labels.begin(), labels.end(), label) == labels.end();
    });
  }
  if (unseen.empty()) return {};
  constexpr std::size_t kShown = 5;
  std::string text;
  for (std::size_t i = 0; i < std::min(unseen.size(), kShown); ++i) {
    text += fmt::format("{}{}{}", i > 0 ? ", " : "", unseen[i],
                        known.names ? fmt::format(" ({})", printable(known.names->name(unseen[i]))) : "");
  }
  if (unseen.size() > kShown) text += ", ...";
  return fmt::format("the model was trained without images of class {}: {}", text,
                     chosen ? "its samples are meaningless" : "`classes` " + spec.classes + " omits it");
}

/// Columns of a grid: one per class, if there are more images than classes.
std::int64_t columns_of(const SampleSpec& spec, const SampleRequest& request, std::int64_t classes,
                        const KnownClasses& known) {
  classes -= static_cast<std::int64_t>(known.empty.size());
  const bool rows_of_classes = spec.columns == 0 && spec.classes == "all" && classes > 1 && classes <= 32 &&
                               static_cast<std::int64_t>(request.seeds.size()) > classes;
  return rows_of_classes ? classes : spec.columns;
}

/// Stamps of the files that the samples depend on. Empty if the output is never continued.
Json stamps(const SampleSpec& spec, const fs::path& model, const fs::path& vae, Stamp stamp) {
  Json object = Json::object();
  std::error_code none;
  if (spec.out.empty() || (fs::path(spec.out).extension() == ".png" && !fs::is_directory(spec.out, none)))
    return object;
  const auto add = [&](const char* name, const fs::path& path) {
    if (!path.empty()) object[name] = stamp(path);
  };
  add("model", model);
  add("vae", vae);
  add("autoguidance", spec.autoguidance.empty() ? fs::path() : model_path(spec.autoguidance));
  add("init_noise", spec.init_noise);
  add("step_noise", spec.step_noise);
  add("init_image", spec.init_image);
  add("mask", spec.mask);
  return object;
}

/// Keeps the images in memory.
class ImagesInMemory : public SampleOutput {
 public:
  ImagesInMemory(std::vector<Image>& images, Rounding rounding) : images_(images), rounding_(rounding) {}
  void add(std::int64_t, const at::Tensor& samples) override {
    for (Image& image : to_images(samples, rounding_)) images_.push_back(std::move(image));
  }
  void finish() override {}

 private:
  std::vector<Image>& images_;
  Rounding rounding_;
};

/// Passes the states of a run on to the monitor; empty without one, so that nothing is computed.
SampleObserver observer_of(SampleMonitor* monitor, Rounding rounding, const Decode& decode) {
  if (monitor == nullptr) return {};
  return [monitor, rounding, decode](const SampleState& state) {
    if (!monitor->wants_step(state.step, state.steps)) return;
    const auto decoded = [&](const at::Tensor& x) {
      const at::Tensor samples = x.to(at::kFloat).to(at::kCPU).contiguous();
      return to_images(decode ? decode(samples) : samples, rounding);
    };
    const at::Tensor x = state.x.to(at::kFloat).to(at::kCPU).contiguous();
    SampleStep step{.first = state.first, .step = state.step, .steps = state.steps, .sigma = state.sigma};
    step.noisy = decoded(state.x / std::sqrt(1 + state.sigma * state.sigma));
    step.estimate = decoded(state.estimate);
    step.shape = x.sizes().vec();
    step.state.assign(x.const_data_ptr<float>(), x.const_data_ptr<float>() + x.numel());
    monitor->step(step);
  };
}

/// Keeps the samples as they are in memory.
class SamplesInMemory : public SampleOutput {
 public:
  SamplesInMemory(SampleResult& result, const std::vector<std::int64_t>& shape) : result_(result) {
    result_.samples_shape = {result.count};
    result_.samples_shape.insert(result_.samples_shape.end(), shape.begin(), shape.end());
  }
  void add(std::int64_t, const at::Tensor& samples) override {
    const at::Tensor values = samples.to(at::kCPU, at::kFloat).contiguous();
    const auto* first = values.const_data_ptr<float>();
    result_.samples.insert(result_.samples.end(), first, first + values.numel());
  }
  void finish() override {}

 private:
  SampleResult& result_;
};

/// Runs `generate` into the output, from where an interrupted run stopped.
///   request: what `generate` works on; its `first` is set here
///   warnings: about the time grid and the classes; empty ones are ignored
///   observe: of intermediate states, or empty
SampleResult run(const SampleSpec& spec, Monitor& monitor, const SampleOutputOptions& output_options,
                 SampleRequest& request, std::vector<std::string> warnings, const Generate& generate,
                 const SampleObserver& observe) {
  SampleResult result;
  result.count = static_cast<std::int64_t>(request.seeds.size());
  result.seeds = request.seeds;
  result.labels = request.labels;
  std::unique_ptr<SampleOutput> output;
  if (spec.raw) {
    output = std::make_unique<SamplesInMemory>(result, output_options.shape);
  } else if (spec.out.empty()) {
    output = std::make_unique<ImagesInMemory>(result.images, output_options.rounding);
  } else {
    output = open_sample_output(request, output_options);
  }
  // At a boundary of batches, so that every number is the one that an uninterrupted run would have computed.
  request.first =
      output->done() == result.count ? result.count : output->done() / request.batch * request.batch;
  output->go_on_from(request.first);
  result.resumed_after = request.first;
  warnings.push_back(output->warning());
  for (const std::string& warning : warnings) {
    if (warning.empty()) continue;
    result.warnings.push_back(warning);
    monitor.warning(warning);
  }
  if (request.first == result.count) {
    monitor.note(fmt::format("{}: all {} images of this request already exist", spec.out, result.count));
  } else if (request.first > 0) {
    monitor.note(fmt::format("{}: resuming after {} of {} images", spec.out, request.first, result.count));
  }
  const auto start = std::chrono::steady_clock::now();
  std::int64_t made = request.first;
  const Evaluations evaluations = generate(
      [&](std::int64_t first, const at::Tensor& samples) {
        output->add(first, samples);
        made = first + samples.size(0);
      },
      [&](std::int64_t done, std::int64_t all) {
        if (monitor.cancelled()) {
          throw Error(ErrorKind::cancelled,
                      fmt::format("interrupted after {} of {} images; {}", made, result.count,
                                  output->done() > 0 ? "run the same command again to continue"
                                                     : "no output was written"));
        }
        monitor.progress({done, all, "evaluations"});
      },
      observe);
  output->finish();
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  result.evaluations = evaluations.made;
  result.evaluations_saved = evaluations.saved;
  result.made_by = json_text(output_options.made_by);
  return result;
}

SampleResult sample_images(const SampleSpec& spec, const Runtime& runtime, Monitor& monitor,
                           SampleMonitor* steps, const WeightsFile& file, const ImageConfig& config) {
  const KnownClasses known = classes_of(file, config.classes);
  ImageRequest request = image_request(spec, config, known);
  request.dtype = runtime.dtype;
  if (request.batch == 0) request.batch = 64;
  const DiffusionModel model(file, runtime);
  std::optional<DiffusionModel> guide;
  if (!spec.autoguidance.empty()) {
    guide.emplace(WeightsFile(model_path(spec.autoguidance)), runtime);
    request.guide = guide->image_network();
    DIFFIT_CHECK(request.guide != nullptr,
                 "`autoguidance` {}: wanted an image-space model, got a latent model", spec.autoguidance);
  }
  check(config, request);
  const SampleOutputOptions output{.path = spec.out,
                                   .shape = {config.in_channels, config.resolution, config.resolution},
                                   .columns = columns_of(spec, request, config.classes, known),
                                   .rounding = rounding_of(spec),
                                   .restart = spec.restart,
                                   .made_by = describe(spec, request),
                                   .files = stamps(spec, file.path(), {}, file_stamp),
                                   .earlier_files = stamps(spec, file.path(), {}, earlier_file_stamp)};
  const std::string grid = grid_warning(config, request);
  mix_noise(spec, output.shape, request);
  const KnownPart part =
      apply_edit(spec,
                 {.shape = output.shape,
                  .schedule = parameterisation_of(config).schedule,
                  .side = config.resolution,
                  .encode =
                      [&](const Image& i) {
                        return given_image(i, config.resolution, config.in_channels, "`init_image`");
                      }},
                 request);
  return run(
      spec, monitor, output, request, {grid, class_warning(spec, known, request.labels)},
      [&](const SampleSink& sink, const SampleProgress& progress, const SampleObserver& observe) {
        return generate(*model.image_network(), request, part, sink, progress, observe);
      },
      observer_of(steps, rounding_of(spec), {}));
}

/// The weaker latent model of autoguidance.
LatentNetwork open_guide(const std::string& name, const LatentConfig& config, const Runtime& runtime) {
  const DiffusionModel guide(WeightsFile(model_path(name)), runtime);
  DIFFIT_CHECK(guide.is_latent(), "{}: wanted a latent model, got an image-space model",
               model_path(name).string());
  const LatentConfig& weak = guide.latent_network()->config();
  DIFFIT_CHECK(weak.input_size == config.input_size && weak.in_channels == config.in_channels &&
                   weak.classes == config.classes,
               "`autoguidance` {}: wanted a model with the same latents and classes ({}x{}, {} channels, {} "
               "classes), got {}x{}, {}, {}",
               name, config.input_size, config.input_size, config.in_channels, config.classes,
               weak.input_size, weak.input_size, weak.in_channels, weak.classes);
  return network_of(guide);
}

SampleResult sample_latents(SampleSpec spec, const Runtime& runtime, Monitor& monitor, SampleMonitor* steps,
                            const WeightsFile& file, const LatentConfig& config) {
  const KnownClasses known = classes_of(file, config.classes);
  LatentRequest request = latent_request(spec, config, known);
  if (spec.autoguidance.empty()) check_null_row(file, request.guidance);
  request.dtype = runtime.dtype;
  if (request.batch == 0) request.batch = 8;
  const bool raw = spec.raw || (!spec.out.empty() && holds_raw_samples(spec.out));
  const fs::path vae_file = vae_path(spec.vae, file);
  DIFFIT_CHECK(raw || !vae_file.empty(),
               "-o {}: the samples of {} are latents: give `vae` FILE (a Stable Diffusion autoencoder) to "
               "decode them into images, or -o x.safetensors to store the latents",
               spec.out, spec.model);
  std::optional<Vae> vae;
  DIFFIT_CHECK(
      spec.init_image.empty() || !vae_file.empty(),
      "`init_image`: the inputs of {} are latents: give `vae` FILE, the autoencoder that encodes the "
      "image",
      spec.model);
  if (!vae_file.empty() && (!raw || !spec.vae.empty() || !spec.init_image.empty())) {
    vae = open_vae(vae_file, file, config, runtime.device);
    spec.vae = vae_file.string();
  }
  const LatentNetwork network = network_of(DiffusionModel(file, runtime));
  if (!spec.autoguidance.empty()) request.guide = open_guide(spec.autoguidance, config, runtime);
  check(config, request);
  const VaePlace place = vae ? find_vae(vae_file) : VaePlace();
  const auto files = [&](Stamp stamp) {
    Json object = stamps(spec, file.path(), place.weights, stamp);
    if (!place.config.empty() && !spec.out.empty()) object["vae_config"] = stamp(place.config);
    return object;
  };
  std::vector<std::int64_t> shape{config.in_channels, config.input_size, config.input_size};
  if (!raw) {
    const std::int64_t side = config.input_size * vae->factor();
    shape = {vae->config().in_channels, side, side};
  }
  const SampleOutputOptions output{.path = spec.out,
                                   .shape = shape,
                                   .columns = columns_of(spec, request, config.classes, known),
                                   .rounding = rounding_of(spec),
                                   .restart = spec.restart,
                                   .made_by = describe(spec, request),
                                   .files = files(file_stamp),
                                   .earlier_files = files(earlier_file_stamp)};
  const std::string grid = grid_warning(request);
  mix_noise(spec, {config.in_channels, config.input_size, config.input_size}, request);
  KnownPart part;
  if (!spec.init_image.empty()) {
    const std::int64_t side = config.input_size * vae->factor();
    part = apply_edit(spec,
                      {.shape = {config.in_channels, config.input_size, config.input_size},
                       .schedule = parameterisation_of(config).schedule,
                       .side = side,
                       .encode =
                           [&](const Image& i) {
                             return encode_means(
                                 *vae, given_image(i, side, vae->config().in_channels, "`init_image`"));
                           }},
                      request);
  }
  return run(
      spec, monitor, output, request, {grid, class_warning(spec, known, request.labels)},
      [&](const SampleSink& sink, const SampleProgress& progress, const SampleObserver& observe) {
        const SampleSink decoded = [&](std::int64_t first, const at::Tensor& latents) {
          sink(first, decode_latents(*vae, latents));
        };
        return generate(network, config, runtime.device, request, part, raw ? sink : decoded, progress,
                        observe);
      },
      vae ? observer_of(steps, rounding_of(spec),
                        [&](const at::Tensor& latents) { return decode_latents(*vae, latents); })
          : SampleObserver());
}

/// `steps`: receives intermediate states, or null.
SampleResult sample_opened(SampleSpec spec, const RuntimeOptions& options, Monitor& monitor,
                           SampleMonitor* steps) {
  if (!spec.out.empty()) check_image_output_path(spec.out);
  DIFFIT_CHECK(!spec.raw || spec.out.empty(),
               "`raw`: is for samples in memory; for a file leave it out and set `out` to x.safetensors");
  const Runtime runtime = open_runtime(options, /*prefer_bf16=*/false, monitor);
  const WeightsFile file(model_path(spec.model));
  const ModelConfig config = config_of(file);
  apply_preset(spec, config, spec.model);
  if (const auto* image = std::get_if<ImageConfig>(&config))
    return sample_images(spec, runtime, monitor, steps, file, *image);
  return sample_latents(spec, runtime, monitor, steps, file, std::get<LatentConfig>(config));
}

void check_opened(SampleSpec spec) {
  const WeightsFile file(model_path(spec.model));
  const ModelConfig config = config_of(file);
  apply_preset(spec, config, spec.model);
  rounding_of(spec);
  if (const auto* image = std::get_if<ImageConfig>(&config)) {
    ImageRequest request = image_request(spec, *image, classes_of(file, image->classes));
    if (request.batch == 0) request.batch = 1;
    if (spec.autoguidance.empty()) check(*image, request);  // else the other model has a say
    return;
  }
  const auto& latent = std::get<LatentConfig>(config);
  LatentRequest request = latent_request(spec, latent, classes_of(file, latent.classes));
  if (request.batch == 0) request.batch = 1;
  if (!spec.autoguidance.empty()) return;
  check_null_row(file, request.guidance);
  check(latent, request);
}

}  // namespace

}  // namespace diffit::jobs

namespace diffit {

SampleResult sample(const SampleSpec& spec, const RuntimeOptions& runtime, Monitor& monitor) {
  return jobs::guarded([&] { return jobs::sample_opened(spec, runtime, monitor, nullptr); });
}

SampleResult sample(const SampleSpec& spec, const RuntimeOptions& runtime, SampleMonitor& monitor) {
  return jobs::guarded([&] { return jobs::sample_opened(spec, runtime, monitor, &monitor); });
}

SampleResult sample(const SampleSpec& spec, const RuntimeOptions& runtime) {
  return sample(spec, runtime, jobs::no_monitor());
}

void check_sample(const SampleSpec& spec) {
  jobs::guarded([&] { jobs::check_opened(spec); });
}

std::vector<SamplerInfo> known_samplers() {
  std::vector<SamplerInfo> all;
  for (const diffusion::Sampler* s : diffusion::samplers()) {
    all.push_back({.name = s->name,
                   .title = s->title,
                   .source = s->source,
                   .usual_steps = s->usual_steps,
                   .least_steps = s->least_steps,
                   .most_steps = s->most_steps,
                   .evaluations = s->evaluations,
                   .latent_only = s->needs_timesteps,
                   .uses_eta = s->uses_eta,
                   .uses_spacing = s->uses_spacing,
                   .uses_sigmas = s->uses_sigmas});
  }
  return all;
}

}  // namespace diffit

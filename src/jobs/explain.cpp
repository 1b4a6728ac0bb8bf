// The job behind diffit/explain.h.
#include "jobs/explain_job.h"

#include <algorithm>
#include <functional>

#include "analysis/noise_error.h"
#include "base/bundled.h"
#include "base/output_check.h"
#include "config/json_text.h"
#include "data/dataset.h"
#include "diffusion/generate.h"
#include "diffusion/latent_generate.h"
#include "jobs/advance.h"
#include "jobs/guard.h"
#include "jobs/latent_source.h"
#include "jobs/no_monitor.h"
#include "train/dataset_images.h"
#include "train/objective.h"

namespace diffit::jobs {

namespace {

constexpr const char* kInterrupted = "interrupted; nothing was written";

/// What is noised, as the model has its samples.
struct Shown {
  at::Tensor x, labels;  // [N, C, R, R]: images in [-1, 1], or latents; [N] or undefined
  std::string description;
};

/// Images of `data`, with those of their classes that the model knows.
Shown read_shown(const ExplainSpec& spec, std::int64_t resolution, std::int64_t channels,
                 std::int64_t classes) {
  const auto data = open_dataset(spec.data, resolution);
  DIFFIT_CHECK(data->channels() == channels || data->channels() == 1,
               "{}: the images are in colour, but the model generates greyscale images", spec.data);
  std::vector<std::int64_t> indices = index_range(0, std::min(spec.images, data->size()));
  const auto count = static_cast<std::int64_t>(indices.size());
  for (std::int64_t& index : indices) index = index * data->size() / count;
  const at::Tensor labels = image_labels(*data, indices);
  const at::Tensor known = at::where(labels.ge(0) & labels.lt(classes), labels, classes);
  return {read_images(*data, indices, channels), classes > 0 ? known : at::Tensor(),
          fmt::format("{} images of {}", count, data->source().describe())};
}

/// The model's own, by `make` of a request.
template <class Request>
Shown own_samples(Request wanted, const ExplainSpec& spec, std::int64_t classes, Monitor& monitor,
                  const std::function<void(const Request&, const SampleSink&, const SampleProgress&)>& make) {
  wanted.ask_for_first(spec.images, classes);
  std::vector<at::Tensor> pieces;
  make(
      wanted, [&](std::int64_t, const at::Tensor& samples) { pieces.push_back(samples); },
      [&](std::int64_t done, std::int64_t all) {
        advance(monitor, {done, all, fmt::format("evaluations of {} samples", spec.images)}, kInterrupted);
      });
  return {at::cat(pieces), classes > 0 ? at::tensor(wanted.labels, at::kLong) : at::Tensor(),
          fmt::format("{} of the model's own samples", spec.images)};
}

Shown shown_to(const ImageDiffiT& model, const WeightsFile& file, const ExplainSpec& spec, const Runtime&,
               Monitor& monitor) {
  const ImageConfig& config = model.config();
  DIFFIT_CHECK(spec.vae.empty(), "`vae`: {} is an image-space model, which needs no autoencoder",
               file.path().string());
  if (!spec.data.empty()) return read_shown(spec, config.resolution, config.in_channels, config.classes);
  return own_samples<ImageRequest>({}, spec, config.classes, monitor,
                                   [&](const auto& wanted, const auto& sink, const auto& progress) {
                                     generate(model, wanted, sink, progress);
                                   });
}

Shown shown_to(const LatentDiffiT& model, const WeightsFile& file, const ExplainSpec& spec,
               const Runtime& runtime, Monitor& monitor) {
  const LatentConfig& config = model.config();
  if (!spec.data.empty()) {
    const fs::path path = vae_path(spec.vae, file);
    DIFFIT_CHECK(
        !path.empty(),
        "`data`: the inputs of {} are latents; give `vae` FILE, the autoencoder that encodes the images",
        file.path().string());
    const Vae vae = open_vae(path, file, config, runtime.device);
    Shown shown =
        read_shown(spec, config.input_size * vae.factor(), vae.config().in_channels, config.classes);
    shown.x = encode_means(vae, shown.x);
    return shown;
  }
  DIFFIT_CHECK(spec.vae.empty(), "`vae` needs `data`; the model's own samples need no autoencoder");
  LatentRequest wanted;
  wanted.sampler = LatentSampler::dpmpp2m;
  wanted.steps = 20;
  return own_samples<LatentRequest>(wanted, spec, config.classes, monitor,
                                    [&](const auto& request, const auto& sink, const auto& progress) {
                                      generate(latent_network(model, runtime.dtype), config, runtime.device,
                                               request, sink, progress);
                                    });
}

std::string time_path_of(const ModelConfig& config) {
  const auto* image = std::get_if<ImageConfig>(&config);
  return std::string(name_of(image != nullptr ? image->time : TimePath::tmsa));
}

template <class Network>
Explanation explain_network(Network& model, const WeightsFile& file, const ExplainSpec& spec,
                            const Runtime& runtime, Monitor& monitor) {
  const Shown shown = shown_to(model, file, spec, runtime, monitor);
  Explanation explanation;
  explanation.model = spec.model;
  explanation.images = shown.description;
  explanation.time = time_path_of(model.config());
  std::vector<double> sigmas = noise_levels(spec.sigma_min, spec.sigma_max, spec.levels);
  std::reverse(sigmas.begin(), sigmas.end());
  const at::Tensor x = shown.x.to(runtime.device);
  const at::Tensor labels = shown.labels.defined() ? shown.labels.to(runtime.device) : at::Tensor();
  const auto moved = [&](Network& network, const char* name) {
    return measure_time_movement(network, x, labels, sigmas, [&](std::int64_t done, std::int64_t all) {
      advance(monitor, {done, all, fmt::format("noise levels of the {} network", name)}, kInterrupted);
    });
  };
  explanation.trained = moved(model, "trained");
  Network untrained(model.config());
  initialise(untrained.parameters(), 0);
  prepare(untrained.parameters(), runtime.device);
  explanation.untrained = moved(untrained, "untrained");
  return explanation;
}

}  // namespace

Json Explanation::json() const {
  return {{"model", model},
          {"time", time},
          {"pictures", images},
          {"trained", to_json(trained)},
          {"untrained", to_json(untrained)}};
}

Explanation run_explain(const ExplainSpec& spec, const RuntimeOptions& options, Monitor& monitor) {
  DIFFIT_CHECK(spec.sigma_max > spec.sigma_min, "`sigma_max` {} is not above `sigma_min` {}", spec.sigma_max,
               spec.sigma_min);
  DIFFIT_CHECK(spec.images >= 1, "`images`: wanted at least 1, got {}", spec.images);
  DIFFIT_CHECK(spec.levels >= 2, "`levels`: wanted at least 2, got {}", spec.levels);
  check_time_image(spec.out);
  if (!spec.out.empty()) check_output_file(spec.out, "`out`");
  const Runtime runtime = open_runtime(options, /*prefer_bf16=*/false, monitor);
  const WeightsFile file(model_path(spec.model));
  LoadedModel loaded = load_model(file, runtime.device);
  const Explanation explanation =
      std::visit([&](auto& model) { return explain_network(model, file, spec, runtime, monitor); }, loaded);
  if (!spec.out.empty()) write_time_image(explanation, spec.out);
  return explanation;
}

namespace {

ExplainResult::Network movement_of(const TimeMovement& movement) {
  ExplainResult::Network network{.sigmas = movement.sigmas, .layers = {}};
  for (const LayerMovement& layer : movement.layers) {
    ExplainResult::Layer& to =
        network.layers.emplace_back(ExplainResult::Layer{layer.layer, layer.window, {}});
    for (const Movement& m : layer.at) to.levels.push_back({m.attention, m.q, m.k, m.v, m.reach});
  }
  return network;
}

}  // namespace

}  // namespace diffit::jobs

namespace diffit {

ExplainResult explain(const ExplainSpec& spec, const RuntimeOptions& runtime, Monitor& monitor) {
  return jobs::guarded([&] {
    const jobs::Explanation e = jobs::run_explain(spec, runtime, monitor);
    return ExplainResult{.images = e.images,
                         .time = e.time,
                         .trained = jobs::movement_of(e.trained),
                         .untrained = jobs::movement_of(e.untrained),
                         .json = config::json_text(e.json()),
                         .markdown = report::time_markdown(e)};
  });
}

ExplainResult explain(const ExplainSpec& spec, const RuntimeOptions& runtime) {
  return explain(spec, runtime, jobs::no_monitor());
}

}  // namespace diffit

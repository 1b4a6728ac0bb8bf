// The job behind diffit/bench.h.
#include "jobs/bench/bench.h"

#include <algorithm>
#include <chrono>
#include <variant>

#include "base/bundled.h"
#include "config/json_text.h"
#include "config/set_option.h"
#include "io/file_kind.h"
#include "jobs/bench/features.h"
#include "jobs/bench/kernels.h"
#include "jobs/bench/latent.h"
#include "jobs/bench/scores.h"
#include "jobs/bench/vae.h"
#include "jobs/guard.h"
#include "jobs/no_monitor.h"
#include "metrics/feature_network.h"
#include "model/model_file.h"
#include "model/vae_file.h"
#include "nn/diffit/image_model.h"
#include "runtime/autocast.h"
#include "runtime/device.h"
#include "train/trainer.h"

namespace diffit::jobs {

namespace {

/// Images of random bytes: the speed of training does not depend on what they show.
class RandomImages : public ImageSource {
 public:
  RandomImages(std::int64_t side, std::int64_t channels, std::int64_t classes)
      : side_(side), channels_(channels), classes_(classes) {}
  std::int64_t size() const override { return 1024; }
  Image read(std::int64_t index) const override {
    Image p{side_, side_, channels_, {}};
    p.pixels.resize(static_cast<std::size_t>(p.width * p.height * p.channels));
    Random random(0, stream_of(Purpose::test, static_cast<std::uint64_t>(index)));
    for (std::uint8_t& pixel : p.pixels) pixel = static_cast<std::uint8_t>(random.bits());
    return p;
  }
  std::int64_t classes() const override { return classes_; }
  std::int64_t label(std::int64_t index) const override {
    return index % std::max<std::int64_t>(classes_, 1);
  }
  std::string describe() const override { return "random images"; }
  std::string name(std::int64_t index) const override { return std::to_string(index); }

 private:
  std::int64_t side_, channels_, classes_;
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Images a second, one figure a round: each round runs `once` (which does `images`) for `seconds`, and
/// ends when the device has done all of it.
template <class Once>
std::vector<double> measure(const BenchSpec& options, at::Device device, double images, const Once& once) {
  once();
  synchronize(device);
  std::vector<double> rates;
  for (int round = 0; round < options.rounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    double done = 0, seconds = 0;
    while (seconds < options.seconds) {
      once();
      done += images;
      seconds = seconds_since(start);
    }
    synchronize(device);
    rates.push_back(done / seconds_since(start));
  }
  return rates;
}

BenchFigures run_latent(Json model, const std::string& where, const BenchSpec& options,
                        const Runtime& machine) {
  if (options.depth >= 0 && model.is_object()) model["depth"] = options.depth;
  LatentBenchOptions latent{.rounds = options.rounds, .seconds = options.seconds};
  if (options.what != "train") latent.what = options.what;
  if (options.batch > 0) latent.batch = options.batch;
  const ModelConfig config = read_model_config(model, where + ": model");
  DIFFIT_CHECK(std::holds_alternative<LatentConfig>(config), "{}: model.model: wanted \"latent\"", where);
  return bench_latent(std::get<LatentConfig>(config), latent, machine);
}

BenchFigures run_autoencoder(const Vae& vae, const BenchSpec& options, const Runtime& machine) {
  VaeBenchOptions wanted{.config = options.config, .rounds = options.rounds, .seconds = options.seconds};
  if (options.what != "train") wanted.what = options.what;
  if (options.size > 0) wanted.side = options.size;
  wanted.batch = options.batch;
  return bench_vae(vae, wanted, machine);
}

/// A model's file or folder: an autoencoder is measured as it is. Of a diffusion model the configuration.
/// Nothing for a recipe.
std::variant<std::monostate, Json, BenchFigures> open_model_file(const BenchSpec& options,
                                                                 const Runtime& machine) {
  std::error_code none;
  const std::string& name = options.config;
  const std::vector<std::string> models = bundled_models(), presets = preset_names();
  const auto among = [&](const std::vector<std::string>& names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  const bool there = fs::exists(name, none), folder = is_diffusers_folder(name);
  const bool bundled = !there && !among(presets) && among(models);
  const std::string what = there && !folder ? what_file_is_this(fs::path(name)) : "";
  if (!folder && !bundled && what != "a safetensors file" && !what.starts_with("a torch.save file (")) {
    return {};
  }
  DIFFIT_CHECK(options.set.empty(), "`set` changes a configuration, but '{}' is a model file", name);
  const fs::path path = model_path(name);
  std::optional<WeightsFile> file;
  if (!folder) file.emplace(path);
  const bool autoencoder = folder || states_vae(file->metadata(), path.string()) ||
                           (!file->metadata().contains(kConfigKey) && looks_like_vae(file->tensors()));
  if (autoencoder) {
    DIFFIT_CHECK(options.depth < 0, "`depth` applies only to latent models");
    return run_autoencoder(load_vae(path, machine.device), options, machine);
  }
  DIFFIT_CHECK(!holds_feature_network(*file),
               "{} is a feature network; measure it with: diffit bench features --features {}", path.string(),
               name);
  return Json{{"model", write_model_config(config_of(*file))}};
}

/// The sides and channels of the images that an image-space model, an autoencoder or a classifier is
/// trained on here: what the recipe states, else those of CIFAR-10.
std::shared_ptr<const Dataset> random_data(Recipe& recipe, const BenchSpec& options,
                                           const std::string& where) {
  const auto stated = [&](const char* key, std::int64_t otherwise) {
    return read_whole_number(recipe.model, key, otherwise, where + ": model");
  };
  const std::int64_t channels = stated("in_channels", 3), classes = stated("classes", 0);
  std::int64_t side = stated("resolution", options.size > 0 ? options.size : 32);
  switch (recipe.kind()) {
    case ModelKind::image:
      resolve_model(recipe, side, channels, classes, where);
      return std::make_shared<const Dataset>(std::make_unique<RandomImages>(side, channels, classes));
    case ModelKind::vae:
      side = options.size > 0 ? options.size : std::max<std::int64_t>(recipe.data.size, 32);
      resolve_vae(recipe, side, channels, where);
      return std::make_shared<const Dataset>(std::make_unique<RandomImages>(side, channels, 0));
    case ModelKind::classifier:
      resolve_classifier(recipe, side, channels, std::max<std::int64_t>(classes, 2), where);
      return std::make_shared<const Dataset>(
          std::make_unique<RandomImages>(side, channels, std::max<std::int64_t>(classes, 2)));
    case ModelKind::latent:
      break;
  }
  reject(
      "{}: bench does not measure the training of latent models; to measure their evaluation, use: diffit "
      "bench latent --set model.hidden=... --set model.depth=...",
      where);
}

/// One evaluation of an image-space model with random weights.
std::vector<double> measure_forward(const Recipe& recipe, const BenchSpec& options, const Runtime& machine) {
  const auto config = std::get<ImageConfig>(read_model_config(recipe.model, options.config + ": model"));
  const std::int64_t batch = recipe.train.microbatch;
  const at::NoGradGuard no_grad;
  const ImageDiffiT model(config);
  initialise(model.parameters(), 0);
  prepare(model.parameters(), machine.device);
  const at::Tensor x = at::ones({batch, config.resolution, config.resolution, config.in_channels},
                                at::TensorOptions(machine.device));
  const at::Tensor c_noise = at::zeros({batch}, x.options());
  Condition condition;
  if (config.classes > 0) condition.labels = at::zeros({batch}, x.options().dtype(at::kLong));
  return measure(options, machine.device, static_cast<double>(batch), [&] {
    const Autocast autocast(machine.device.type(), machine.dtype);
    model(x, c_noise, condition);
  });
}

}  // namespace

BenchFigures run_bench(const BenchSpec& options, const RuntimeOptions& runtime, Monitor& monitor) {
  const Runtime machine = open_runtime(runtime, /*prefer_bf16=*/false, monitor);
  if (options.config == "scores") {
    ScoresBenchOptions scores{.rounds = options.rounds};
    if (options.what != "train") scores.what = options.what;
    if (options.batch > 0) scores.images = options.batch;
    return bench_scores(scores);
  }
  if (options.config == "kernels") {
    return bench_kernels({.batch = options.batch, .rounds = options.rounds, .seconds = options.seconds},
                         machine);
  }
  if (options.config == "features") {
    FeaturesBenchOptions features;
    if (options.size > 0) features.size = options.size;
    features.rounds = options.rounds;
    features.seconds = options.seconds;
    features.network = options.features;
    if (options.batch > 0) features.batch = options.batch;
    return bench_features(features, machine);
  }
  const bool released = options.config == "latent";
  std::string where = options.config;
  Json toml = {{"model", {{"model", "latent"}}}};
  if (!released) {
    const auto of_file = open_model_file(options, machine);
    if (const auto* figures = std::get_if<BenchFigures>(&of_file)) return *figures;
    if (const auto* config = std::get_if<Json>(&of_file)) {
      toml = *config;
    } else {
      where = preset_path(options.config).string();
      toml = parse_toml(read_text(where, 1 << 20), where);
    }
  }
  for (const std::string& assignment : options.set) set_in_recipe(toml, assignment);
  const bool latent_file = toml["model"].is_object() && toml["model"].value("model", Json()) == "latent" &&
                           toml.size() == 1;  // a recipe has more
  if (released || latent_file) return run_latent(toml["model"], where, options, machine);
  DIFFIT_CHECK(options.depth < 0, "`depth` applies only to latent models");
  Recipe recipe = read_recipe(toml, where);
  recipe.data.augment = recipe.data.flip = 0;
  recipe.model.erase("augment_labels");
  recipe.train.init_from.clear();
  recipe.data.test.clear();
  const std::shared_ptr<const Dataset> data = random_data(recipe, options, where);
  if (options.batch > 0) recipe.train.batch = recipe.train.microbatch = options.batch;
  recipe.train.batch = recipe.train.microbatch;
  const auto batch = recipe.train.microbatch;

  std::vector<double> rates;
  if (options.what == "train") {
    Trainer trainer(recipe, data, machine.device, machine.dtype);
    rates = measure(options, machine.device, static_cast<double>(batch), [&] { trainer.step(); });
  } else if (recipe.kind() == ModelKind::vae) {
    const Vae vae(read_vae_config(recipe.model, where + ": model"));
    initialise(vae.parameters(), 0);
    prepare(vae.parameters(), machine.device);
    return run_autoencoder(vae, options, machine);
  } else {
    DIFFIT_CHECK(options.what == "forward" && recipe.kind() == ModelKind::image,
                 "`what`: wanted train{}, got '{}'", recipe.kind() == ModelKind::image ? " or forward" : "",
                 options.what);
    rates = measure_forward(recipe, options, machine);
  }
  std::vector<double> sorted = rates;
  std::sort(sorted.begin(), sorted.end());
  const double median = sorted[sorted.size() / 2];
  return BenchFigures{{{"config", options.config},
                       {"what", options.what},
                       {"batch", batch},
                       {"dtype", machine.dtype == at::kFloat ? "f32" : "bf16"},
                       {"images_per_second", rates},
                       {"median", median}},
                      fmt::format("{} {} {}: {:.1f} img/s (median of {}; {:.1f} to {:.1f}), batch {}",
                                  options.config, options.what, machine.dtype == at::kFloat ? "f32" : "bf16",
                                  median, rates.size(), sorted.front(), sorted.back(), batch)};
}

}  // namespace diffit::jobs

namespace diffit {

BenchResult bench(const BenchSpec& spec, const RuntimeOptions& runtime, Monitor& monitor) {
  return jobs::guarded([&] {
    const jobs::BenchFigures figures = jobs::run_bench(spec, runtime, monitor);
    return BenchResult{config::json_text(figures.json), figures.text};
  });
}

BenchResult bench(const BenchSpec& spec, const RuntimeOptions& runtime) {
  return bench(spec, runtime, jobs::no_monitor());
}

}  // namespace diffit

// The job behind diffit/bench.h.
#include "jobs/bench/bench.h"

#include <algorithm>
#include <chrono>
#include <variant>

#include "base/bundled.h"
#include "base/stopwatch.h"
#include "config/json_text.h"
#include "config/set_option.h"
#include "io/file_kind.h"
#include "io/text_file.h"
#include "jobs/bench/features.h"
#include "jobs/bench/kernels.h"
#include "jobs/bench/latent.h"
#include "jobs/bench/random_data.h"
#include "jobs/bench/scores.h"
#include "jobs/bench/traced.h"
#include "jobs/bench/vae.h"
#include "jobs/guard.h"
#include "jobs/no_monitor.h"
#include "metrics/feature_network.h"
#include "model/model_file.h"
#include "model/vae_file.h"
#include "nn/diffit/image_model.h"
#include "runtime/autocast.h"
#include "runtime/device.h"
#include "runtime/graph.h"
#include "runtime/matrix_rate.h"
#include "train/plan.h"
#include "train/trainer.h"

namespace diffit::jobs {

namespace {

/// Images a second, one figure a round: each round runs `once` (which does `images`) for `seconds`, and
/// ends when the device has done all of it.
template <class Once>
std::vector<double> measure(const BenchSpec& options, at::Device device, double images, const Once& once) {
  for (int i = 0; i < runtime::calls_until_replayed(device); ++i) once();
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
  LatentBenchOptions latent{.rounds = options.rounds, .seconds = options.seconds, .trace = options.trace};
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

/// What a recipe's bench runs again and again, and the floating-point operations of one call by the layers'
/// sizes.
struct Work {
  std::function<void()> once;
  double flop = 0;
};

/// One optimizer step.
Work training_work(const Recipe& recipe, const TrainingData& data, const Runtime& machine) {
  const auto trainer = std::make_shared<Trainer>(recipe, data, machine.device, machine.dtype);
  const training::TrainingPlan plan = plan_training(recipe, summary(data).resolution, 4);
  return {[trainer] { trainer->step(); }, plan.flops_per_image * static_cast<double>(recipe.train.batch)};
}

/// One evaluation of an image-space model with random weights.
Work forward_work(const Recipe& recipe, const BenchSpec& options, const Runtime& machine) {
  const auto config = std::get<ImageConfig>(read_model_config(recipe.model, options.config + ": model"));
  const std::int64_t batch = recipe.train.microbatch;
  const auto model = std::make_shared<ImageDiffiT>(config);
  initialise(model->parameters(), 0);
  prepare(model->parameters(), machine.device);
  const at::Tensor x = at::ones({batch, config.resolution, config.resolution, config.in_channels},
                                at::TensorOptions(machine.device));
  const at::Tensor c_noise = at::zeros({batch}, x.options());
  Condition condition;
  if (config.classes > 0) condition.labels = at::zeros({batch}, x.options().dtype(at::kLong));
  const training::TrainingPlan plan = plan_training(recipe, config.resolution, 4);
  const auto replayed = std::make_shared<runtime::Replayed>(
      machine.device, [=](const std::vector<at::Tensor>& inputs) -> std::vector<at::Tensor> {
        const Autocast autocast(machine.device.type(), machine.dtype);
        return {(*model)(inputs[0], inputs[1], condition)};
      });
  return {[=] {
            const at::NoGradGuard no_grad;
            (*replayed)({x, c_noise});
          },
          plan.flops_per_image / 3 * static_cast<double>(batch)};
}

/// Measures images a second, and the share that its operations are of the machine's rate of matrix products.
BenchFigures measure_recipe(const Work& work, const Recipe& recipe, const BenchSpec& options,
                            const Runtime& machine) {
  const std::int64_t batch = recipe.train.microbatch;
  const std::vector<double> rates = measure(options, machine.device, static_cast<double>(batch), work.once);
  std::vector<double> sorted = rates;
  std::sort(sorted.begin(), sorted.end());
  const double median = sorted[sorted.size() / 2];
  const double machine_rate =
      runtime::matrix_product_rate(machine.device, machine.dtype, options.seconds / 2);
  const double share = work.flop * median / static_cast<double>(batch) / machine_rate;
  const char* dtype = machine.dtype == at::kFloat ? "f32" : "bf16";
  BenchFigures figures{
      {{"config", options.config},
       {"what", options.what},
       {"batch", batch},
       {"dtype", dtype},
       {"images_per_second", rates},
       {"median", median},
       {"flop_per_image", work.flop / static_cast<double>(batch)},
       {"machine_gflops", machine_rate / 1e9},
       {"share", share}},
      fmt::format("{} {} {}: {:.1f} img/s (median of {}; {:.1f} to {:.1f}), batch {}, {:.0f}% of "
                  "this machine's matrix-product rate of {:.0f} GFLOP/s",
                  options.config, options.what, dtype, median, rates.size(), sorted.front(), sorted.back(),
                  batch, 100 * share, machine_rate / 1e9)};
  add_trace(options.trace, machine, work.once, figures);
  return figures;
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
      toml = read_toml(where);
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
  const RandomData random(recipe, options.size, where);
  const TrainingData& data = random.data();
  if (options.batch > 0) recipe.train.batch = recipe.train.microbatch = options.batch;
  recipe.train.batch = recipe.train.microbatch;

  if (options.what == "train")
    return measure_recipe(training_work(recipe, data, machine), recipe, options, machine);
  if (recipe.kind() == ModelKind::vae) {
    const Vae vae(read_vae_config(recipe.model, where + ": model"));
    initialise(vae.parameters(), 0);
    prepare(vae.parameters(), machine.device);
    return run_autoencoder(vae, options, machine);
  }
  DIFFIT_CHECK(options.what == "forward" && recipe.kind() == ModelKind::image,
               "`what`: wanted train{}, got '{}'", recipe.kind() == ModelKind::image ? " or forward" : "",
               options.what);
  return measure_recipe(forward_work(recipe, options, machine), recipe, options, machine);
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

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "kernels/autocast.h"
#include "nn/image_model.h"
#include "tools/diffit/bench_features.h"
#include "tools/diffit/bench_latent.h"
#include "tools/diffit/bench_scores.h"
#include "tools/diffit/machine.h"
#include "train/trainer.h"

namespace diffit {

namespace {

struct BenchOptions {
  std::string config;
  std::vector<std::string> set;
  std::string what = "train";
  std::string features;
  std::int64_t batch = 0, depth = -1, size = 32;
  int rounds = 5;
  double seconds = 2;
};

/// Pictures of random bytes: the speed of training does not depend on what they show.
class RandomPictures : public PictureSource {
 public:
  explicit RandomPictures(const ImageConfig& config) : config_(config) {}
  std::int64_t size() const override { return 1024; }
  Picture read(std::int64_t index) const override {
    Picture p{config_.resolution, config_.resolution, config_.in_channels, {}};
    p.pixels.resize(static_cast<std::size_t>(p.width * p.height * p.channels));
    Random random(0, stream_of(Purpose::test, static_cast<std::uint64_t>(index)));
    for (std::uint8_t& pixel : p.pixels) pixel = static_cast<std::uint8_t>(random.bits());
    return p;
  }
  std::int64_t classes() const override { return config_.classes; }
  std::int64_t label(std::int64_t index) const override {
    return index % std::max<std::int64_t>(config_.classes, 1);
  }
  std::string describe() const override { return "random pictures"; }
  std::string name(std::int64_t index) const override { return std::to_string(index); }

 private:
  ImageConfig config_;
};

/// Pictures a second, one figure a round: each round runs `once` (which does `pictures`) for `seconds`.
template <class Once>
std::vector<double> measure(const BenchOptions& options, double pictures, const Once& once) {
  once();
  std::vector<double> rates;
  for (int round = 0; round < options.rounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    double done = 0, seconds = 0;
    while (seconds < options.seconds) {
      once();
      done += pictures;
      seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    }
    rates.push_back(done / seconds);
  }
  return rates;
}

void run_latent(Json model, const std::string& where, const BenchOptions& options, const Machine& machine,
                const CommonOptions& common) {
  if (options.depth >= 0) model["depth"] = options.depth;
  LatentBenchOptions latent{.rounds = options.rounds, .seconds = options.seconds};
  if (options.what != "train") latent.what = options.what;
  if (options.batch > 0) latent.batch = options.batch;
  bench_latent(std::get<LatentConfig>(read_model_config(model, where + ": model")), latent, machine, common);
}

void run_bench(const BenchOptions& options, const CommonOptions& common) {
  const Machine machine = open_machine(common, /*prefer_bf16=*/false);
  if (options.config == "scores") {
    ScoresBenchOptions scores{.rounds = options.rounds};
    if (options.what != "train") scores.what = options.what;
    if (options.batch > 0) scores.pictures = options.batch;
    return bench_scores(scores, common);
  }
  if (options.config == "features") {
    FeaturesBenchOptions features;
    features.size = options.size;
    features.rounds = options.rounds;
    features.seconds = options.seconds;
    features.network = options.features;
    if (options.batch > 0) features.batch = options.batch;
    return bench_features(features, machine, common);
  }
  const bool released = options.config == "latent";
  const std::string where = released ? "latent" : preset_path(options.config).string();
  Json toml = {{"model", {{"model", "latent"}}}};
  if (!released) toml = parse_toml(read_text(where, 1 << 20), where);
  for (const std::string& assignment : options.set) set_by_path(toml, assignment);
  if (released) return run_latent(toml["model"], where, options, machine, common);
  DIFFIT_CHECK(options.depth < 0, "--depth: cuts latent models alone");
  Recipe recipe = read_recipe(toml, where);
  recipe.data.augment = recipe.data.flip = 0;
  recipe.model.erase("augment_labels");
  const auto open = [&](const char* key, std::int64_t otherwise) {
    return recipe.model.value(key, otherwise);
  };
  const ImageConfig config =
      resolve_model(recipe, open("resolution", 32), open("in_channels", 3), open("classes", 0), where);
  if (options.batch > 0) recipe.train.batch = recipe.train.microbatch = options.batch;
  recipe.train.batch = recipe.train.microbatch;
  const auto batch = recipe.train.microbatch;

  Trainer trainer(recipe, std::make_shared<const Dataset>(std::make_unique<RandomPictures>(config)),
                  machine.device, machine.dtype);
  std::vector<double> rates;
  if (options.what == "train") {
    rates = measure(options, static_cast<double>(batch), [&] { trainer.step(); });
  } else {
    DIFFIT_CHECK(options.what == "forward", "--what: wanted train or forward, got '{}'", options.what);
    const at::NoGradGuard no_grad;
    const ImageDiffiT model(config);
    initialise(model.parameters(), 0);
    prepare(model.parameters(), machine.device);
    const at::Tensor x = at::ones({batch, config.resolution, config.resolution, config.in_channels},
                                  at::TensorOptions(machine.device));
    const at::Tensor c_noise = at::zeros({batch}, x.options());
    Condition condition;
    if (config.classes > 0) condition.labels = at::zeros({batch}, x.options().dtype(at::kLong));
    rates = measure(options, static_cast<double>(batch), [&] {
      const Autocast autocast(machine.device.type(), machine.dtype);
      model(x, c_noise, condition);
    });
  }
  std::vector<double> sorted = rates;
  std::sort(sorted.begin(), sorted.end());
  const double median = sorted[sorted.size() / 2];
  print_result(common,
               {{"config", options.config},
                {"what", options.what},
                {"batch", batch},
                {"dtype", machine.dtype == at::kFloat ? "f32" : "bf16"},
                {"images_per_second", rates},
                {"median", median}},
               fmt::format("{} {} {}: {:.1f} img/s (median of {}; {:.1f} to {:.1f}), batch {}",
                           options.config, options.what, machine.dtype == at::kFloat ? "f32" : "bf16", median,
                           rates.size(), sorted.front(), sorted.back(), batch));
}

}  // namespace

void add_bench_command(CLI::App& app, CommonOptions& common) {
  auto o = std::make_shared<BenchOptions>();
  CLI::App* command = add_command(app, common, "bench", "Measure training or evaluation, images a second");
  command
      ->add_option(
          "config", o->config,
          "TOML file, or preset; `latent`: the released DiffiT-XL/2 at 256 with random weights; "
          "`scores`: metrics of 10,000 pictures' features against 10,000; `features`: a feature network")
      ->required();
  command->add_option("--set", o->set, "key=value of the config; may be repeated");
  command
      ->add_option(
          "--what", o->what,
          "train (a whole optimiser step) or forward (one evaluation); of `latent` forward (which is its "
          "default), attention or matmul (the machine's rate on its shapes); of `scores` precision-recall or "
          "frechet")
      ->capture_default_str();
  command->add_option("--depth", o->depth, "blocks of `latent`, where not all")->check(CLI::Range(0, 1024));
  command->add_option("--batch", o->batch,
                      "images a pass; default the config's microbatch, of `latent` 2: one guided picture; of "
                      "`scores` pictures of a set");
  command->add_option("--features", o->features, "of `features`: the network, a file or a bundled one's name")
      ->default_val("fashion-net");
  command->add_option("--size", o->size, "of `features`: side of the pictures")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command->add_option("--rounds", o->rounds, "figures taken")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--seconds", o->seconds, "length of a round")
      ->check(CLI::Range(0.01, 600.0))
      ->capture_default_str();
  command->callback([o, &common] { run_bench(*o, common); });
}

}  // namespace diffit

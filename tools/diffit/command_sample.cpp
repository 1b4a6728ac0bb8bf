#include <numeric>

#include "base/error.h"
#include "base/text.h"
#include "tools/diffit/guidance_options.h"
#include "tools/diffit/machine.h"
#include "tools/diffit/progress.h"
#include "tools/diffit/sample_output.h"
#include "train/model_file.h"

namespace diffit {

namespace {

struct SampleOptions {
  std::string model, out, seeds, classes = "all", sampler = "heun", init_noise, step_noise;
  std::int64_t count = 0, columns = 0;
  ImageRequest request;
  GuidanceOptions guidance;
};

constexpr std::int64_t kMostPictures = 100'000'000;

/// "A-B", "a,b,c" or both mixed.
std::vector<std::uint64_t> parse_seeds(const std::string& text) {
  std::vector<std::uint64_t> seeds;
  for (const std::string& part : split(text, ',')) {
    const std::size_t dash = part.find('-', 1);
    const std::int64_t first = parse_int(part.substr(0, dash), "--seeds");
    const std::int64_t last = dash == std::string::npos ? first : parse_int(part.substr(dash + 1), "--seeds");
    DIFFIT_CHECK(first >= 0 && first <= last, "--seeds: wanted A-B with 0 <= A <= B or a,b,c, got '{}'",
                 part);
    DIFFIT_CHECK(last - first < kMostPictures, "--seeds: '{}' are more than {} pictures", part,
                 kMostPictures);
    for (std::int64_t seed = first; seed <= last; ++seed) seeds.push_back(static_cast<std::uint64_t>(seed));
  }
  return seeds;
}

std::vector<std::uint64_t> seeds_of(const SampleOptions& options) {
  if (options.seeds.empty()) {
    std::vector<std::uint64_t> seeds(static_cast<std::size_t>(std::max<std::int64_t>(options.count, 1)));
    std::iota(seeds.begin(), seeds.end(), 0);
    return seeds;
  }
  std::vector<std::uint64_t> seeds = parse_seeds(options.seeds);
  DIFFIT_CHECK(options.count == 0 || static_cast<std::size_t>(options.count) == seeds.size(),
               "-n {} and --seeds with {} entries contradict each other: leave one away", options.count,
               seeds.size());
  return seeds;
}

std::vector<std::int64_t> labels_of(const SampleOptions& options, const std::vector<std::uint64_t>& seeds,
                                    std::int64_t classes) {
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
      listed.push_back(parse_int(part, "--classes (all, random or a,b,c)"));
      DIFFIT_CHECK(listed.back() >= 0 && listed.back() < classes,
                   "--classes: the model has classes 0 to {}, got {}", classes - 1, listed.back());
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

/// What --json and the files say of how the pictures were made: the options as they would be typed again.
Json describe(const SampleOptions& options, const ImageRequest& r) {
  Json object = {{"model", options.model},   {"sampler", options.sampler}, {"steps", r.steps},
                 {"sigma_min", r.sigma_min}, {"sigma_max", r.sigma_max},   {"rho", r.rho}};
  if (r.churn.s_churn > 0) {
    object.update({{"churn", r.churn.s_churn},
                   {"s_min", r.churn.s_min},
                   {"s_max", r.churn.s_max},
                   {"s_noise", r.churn.s_noise}});
  }
  if (r.guidance.on()) {
    object["guidance"] = r.guidance.scale;
    object["guidance_channels"] = r.guidance.channels == 0 ? Json("all") : Json(r.guidance.channels);
    if (!options.guidance.interval.empty()) object["guidance_interval"] = options.guidance.interval;
  }
  object["dtype"] = r.dtype == at::kFloat ? "f32" : "bf16";
  if (r.init_noise.defined()) object["init_noise"] = options.init_noise;
  if (r.step_noise.defined()) object["step_noise"] = options.step_noise;
  return object;
}

void check(const ImageRequest& r) {
  DIFFIT_CHECK(r.steps >= 2 && r.steps <= 100000, "--steps: wanted 2 to 100000, got {}", r.steps);
  DIFFIT_CHECK(r.sigma_min > 0 && r.sigma_min < r.sigma_max && std::isfinite(r.sigma_max),
               "--sigma-min, --sigma-max: wanted 0 < min < max, got {} and {}", r.sigma_min, r.sigma_max);
  DIFFIT_CHECK(r.rho >= 1 && r.rho <= 1000, "--rho: wanted 1 to 1000, got {}", r.rho);
  DIFFIT_CHECK(r.churn.s_churn >= 0 && r.churn.s_noise >= 0, "--churn and --s-noise: wanted at least 0");
}

void run_sample(const SampleOptions& options, const CommonOptions& common) {
  const Machine machine = open_machine(common, /*prefer_bf16=*/false);
  const fs::path path = model_path(options.model);
  const WeightsFile file(path);
  const ModelConfig any_config = config_of(file);
  DIFFIT_CHECK(std::holds_alternative<ImageConfig>(any_config),
               "{}: a latent model; sample makes pictures of image-space models so far (denoise takes both)",
               path.string());
  const ImageConfig& config = std::get<ImageConfig>(any_config);
  ImageRequest request = options.request;
  request.sampler = edm_sampler_named(options.sampler);
  check(request);
  request.seeds = seeds_of(options);
  request.labels = labels_of(options, request.seeds, config.classes);
  request.guidance = parse_guidance(options.guidance, /*latent=*/false);
  request.dtype = machine.dtype;
  request.init_noise = noise_of(options.init_noise, "--init-noise");
  request.step_noise = noise_of(options.step_noise, "--step-noise");

  const auto count = static_cast<std::int64_t>(request.seeds.size());
  std::int64_t columns = options.columns;
  if (columns == 0 && options.classes == "all" && config.classes > 1 && config.classes <= 32 &&
      count > config.classes) {
    columns = config.classes;
  }
  const Model model = load_model(file, machine.device);
  const auto output = open_sample_output(options.out, request, config, describe(options, request), columns);
  ProgressLine line(common);
  const auto start = std::chrono::steady_clock::now();
  generate(
      std::get<ImageDiffiT>(model), request,
      [&](std::int64_t first, const at::Tensor& samples) { output->add(first, samples); },
      [&](std::int64_t done, std::int64_t all) {
        line.show_count(static_cast<double>(done), static_cast<double>(all), "evaluations");
      });
  output->finish();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  line.say(fmt::format("{} pictures in {} ({:.1f} a second)", count, human_seconds(seconds),
                       static_cast<double>(count) / seconds));
  Json object = {{"out", options.out}, {"pictures", count}, {"seconds", seconds}};
  object["made_by"] = describe(options, request);
  print_result(common, object, options.out);
}

}  // namespace

void add_sample_command(CLI::App& app, CommonOptions& common) {
  auto o = std::make_shared<SampleOptions>();
  CLI::App* command = add_command(app, common, "sample", "Make pictures with a model");
  command
      ->add_option("-m,--model", o->model,
                   fmt::format(".safetensors, or bundled: {}", fmt::join(bundled_models(), ", ")))
      ->required();
  command
      ->add_option("-o,--out", o->out,
                   "x.png (one picture, or a grid), dir/ (a PNG a seed), x.npz (arr_0, arr_1), x.safetensors "
                   "(`samples`, float32)")
      ->required();
  command->add_option("-n,--count", o->count, "pictures, with seeds 0 to N-1; default 1")
      ->check(CLI::Range(std::int64_t{1}, kMostPictures));
  command->add_option("--seeds", o->seeds, "A-B or a,b,c: one picture each");
  command->add_option("--classes", o->classes, "all (in turn), random (by the seed), or a,b,c in turn")
      ->capture_default_str();
  command->add_option("--sampler", o->sampler, "heun (2N-1 evaluations) or euler (N)")->capture_default_str();
  command->add_option("--steps", o->request.steps, "steps of the sampler")->capture_default_str();
  command->add_option("--sigma-min", o->request.sigma_min, "lowest noise level of the grid")
      ->capture_default_str();
  command->add_option("--sigma-max", o->request.sigma_max, "highest noise level of the grid")
      ->capture_default_str();
  command->add_option("--rho", o->request.rho, "bend of the grid")->capture_default_str();
  command->add_option("--churn", o->request.churn.s_churn, "EDM's S_churn: noise put back while sampling")
      ->capture_default_str();
  command->add_option("--s-min", o->request.churn.s_min, "lowest noise level of churn")
      ->capture_default_str();
  command->add_option("--s-max", o->request.churn.s_max, "highest noise level of churn; default no limit");
  command->add_option("--s-noise", o->request.churn.s_noise, "deviation of churn's noise")
      ->capture_default_str();
  add_guidance_options(*command, o->guidance);
  command->add_option("--batch", o->request.batch, "pictures at a time; the result is the same")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20))
      ->capture_default_str();
  command->add_option("--columns", o->columns, "of a grid; default as square as can be, or one a class")
      ->check(CLI::Range(0, 100000));
  command->add_option("--init-noise", o->init_noise,
                      ".safetensors with `noise` [N,C,H,W] instead of the seeds' start");
  command->add_option("--step-noise", o->step_noise,
                      ".safetensors with `noise` [steps,N,C,H,W] instead of the seeds' churn");
  command->footer(
      "\nExamples:\n"
      "  diffit sample -m fashion-mnist -n 80 -o grid.png\n"
      "  diffit sample -m fashion-mnist --seeds 7 --classes 3 -o dress.png\n"
      "  diffit sample -m runs/mine/snapshot-002000000-ema.safetensors --seeds 0-9999 --classes random -o "
      "samples.npz\n"
      "Picture i depends on model, options, its seed and its class alone. A PNG holds how it was made: "
      "diffit info x.png");
  command->callback([o, &common] { run_sample(*o, common); });
}

}  // namespace diffit

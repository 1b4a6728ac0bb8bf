#include <algorithm>
#include <functional>

#include "analysis/noise_error.h"
#include "analysis/time_movement.h"
#include "base/bundled.h"
#include "base/error.h"
#include "base/output_check.h"
#include "data/dataset.h"
#include "diffusion/generate.h"
#include "diffusion/latent_generate.h"
#include "jobs/latent_source.h"
#include "model/model_file.h"
#include "report/time_page.h"
#include "tools/diffit/command.h"
#include "tools/diffit/progress.h"
#include "train/dataset_images.h"
#include "train/objective.h"

namespace diffit::cli {

namespace {

struct ExplainOptions {
  std::string model, vae, data, out;
  std::int64_t images = 16, levels = 8;
  double smallest = 0.02, largest = 20;
};

/// What is noised, as the model has its samples.
struct Shown {
  at::Tensor x, labels;  // [N, C, R, R]: images in [-1, 1], or latents; [N] or undefined
  std::string description;
};

/// Images of --data, with those of their classes that the model knows.
Shown read_shown(const ExplainOptions& options, std::int64_t resolution, std::int64_t channels,
                 std::int64_t classes) {
  const auto data = open_dataset(options.data, resolution);
  DIFFIT_CHECK(data->channels() == channels || data->channels() == 1,
               "{}: the images are in colour, but the model generates greyscale images", options.data);
  std::vector<std::int64_t> indices = index_range(0, std::min(options.images, data->size()));
  const auto count = static_cast<std::int64_t>(indices.size());
  for (std::int64_t& index : indices) index = index * data->size() / count;
  const at::Tensor labels = image_labels(*data, indices);
  const at::Tensor known = at::where(labels.ge(0) & labels.lt(classes), labels, classes);
  return {read_images(*data, indices, channels), classes > 0 ? known : at::Tensor(),
          fmt::format("{} images of {}", count, data->source().describe())};
}

/// The model's own, by `make` of a request.
template <class Request>
Shown own_samples(Request wanted, const ExplainOptions& options, std::int64_t classes, ProgressLine& line,
                  const std::function<void(const Request&, const SampleSink&, const SampleProgress&)>& make) {
  wanted.ask_for_first(options.images, classes);
  std::vector<at::Tensor> pieces;
  make(
      wanted, [&](std::int64_t, const at::Tensor& samples) { pieces.push_back(samples); },
      [&](std::int64_t done, std::int64_t all) {
        line.show(fmt::format("{} samples: {}/{} evaluations", options.images, done, all));
      });
  return {at::cat(pieces), classes > 0 ? at::tensor(wanted.labels, at::kLong) : at::Tensor(),
          fmt::format("{} of the model's own samples", options.images)};
}

Shown shown_to(const ImageDiffiT& model, const WeightsFile& file, const ExplainOptions& options,
               const Runtime&, ProgressLine& line) {
  const ImageConfig& config = model.config();
  DIFFIT_CHECK(options.vae.empty(), "--vae: {} is an image-space model, which needs no autoencoder",
               file.path().string());
  if (!options.data.empty())
    return read_shown(options, config.resolution, config.in_channels, config.classes);
  return own_samples<ImageRequest>({}, options, config.classes, line,
                                   [&](const auto& wanted, const auto& sink, const auto& progress) {
                                     generate(model, wanted, sink, progress);
                                   });
}

Shown shown_to(const LatentDiffiT& model, const WeightsFile& file, const ExplainOptions& options,
               const Runtime& machine, ProgressLine& line) {
  const LatentConfig& config = model.config();
  if (!options.data.empty()) {
    const fs::path path = vae_path(options.vae, file);
    DIFFIT_CHECK(
        !path.empty(),
        "--data: the inputs of {} are latents; give --vae FILE, the autoencoder that encodes the images",
        file.path().string());
    const Vae vae = open_vae(path, file, config, machine.device);
    Shown shown =
        read_shown(options, config.input_size * vae.factor(), vae.config().in_channels, config.classes);
    shown.x = encode_means(vae, shown.x);
    return shown;
  }
  DIFFIT_CHECK(options.vae.empty(), "--vae needs --data; the model's own samples need no autoencoder");
  LatentRequest wanted;
  wanted.sampler = LatentSampler::dpmpp2m;
  wanted.steps = 20;
  return own_samples<LatentRequest>(wanted, options, config.classes, line,
                                    [&](const auto& request, const auto& sink, const auto& progress) {
                                      generate(latent_network(model, machine.dtype), config, machine.device,
                                               request, sink, progress);
                                    });
}

std::string time_path_of(const ModelConfig& config) {
  const auto* image = std::get_if<ImageConfig>(&config);
  return std::string(name_of(image != nullptr ? image->time : TimePath::tmsa));
}

template <class Network>
void explain(Network& model, const WeightsFile& file, const ExplainOptions& options, const Runtime& machine,
             const CommonOptions& common) {
  TimeExplanation explanation{.model = options.model, .images = {}, .trained = {}, .untrained = {}};
  {
    ProgressLine line(common);
    const Shown shown = shown_to(model, file, options, machine, line);
    explanation.images = shown.description;
    std::vector<double> sigmas = noise_levels(options.smallest, options.largest, options.levels);
    std::reverse(sigmas.begin(), sigmas.end());
    const at::Tensor x = shown.x.to(machine.device);
    const at::Tensor labels = shown.labels.defined() ? shown.labels.to(machine.device) : at::Tensor();
    const auto moved = [&](Network& network, const char* name) {
      return measure_time_movement(network, x, labels, sigmas, [&](std::int64_t done, std::int64_t all) {
        line.show(fmt::format("{}: {}/{} noise levels", name, done, all));
      });
    };
    explanation.trained = moved(model, "trained");
    Network untrained(model.config());
    initialise(untrained.parameters(), 0);
    prepare(untrained.parameters(), machine.device);
    explanation.untrained = moved(untrained, "untrained");
  }
  if (!options.out.empty()) write_time_image(explanation, options.out);
  print_result(common,
               {{"model", options.model},
                {"time", time_path_of(model.config())},
                {"pictures", explanation.images},
                {"trained", to_json(explanation.trained)},
                {"untrained", to_json(explanation.untrained)}},
               time_markdown(explanation));
}

void run_explain(const ExplainOptions& options, const CommonOptions& common) {
  DIFFIT_CHECK(options.largest > options.smallest, "--sigma-max {} is not above --sigma-min {}",
               options.largest, options.smallest);
  check_time_image(options.out);
  if (!options.out.empty()) check_output_file(options.out, "-o");
  const Runtime machine = open_machine(common, /*prefer_bf16=*/false);
  const WeightsFile file(model_path(options.model));
  auto loaded = load_model(file, machine.device);
  std::visit([&](auto& model) { explain(model, file, options, machine, common); }, loaded);
}

}  // namespace

void add_explain_command(CLI::App& app, CommonOptions& common) {
  auto o = std::make_shared<ExplainOptions>();
  CLI::App* command = add_command(app, common, "explain", "Show how attention changes with the noise level");
  command->add_option("-m,--model", o->model, "model file, or the name of a bundled model")->required();
  const std::string time =
      "measure how far attention, q, k and v of each layer move with the time token, in the trained and an "
      "untrained network; the default";
  command->add_flag("--time", time);
  command->add_option("--data", o->data, "images to use; default the model's own samples");
  command->add_option("--vae", o->vae, "autoencoder that encodes --data for a latent model");
  command->add_option("-n,--pictures", o->images, "number of images")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  command->add_option("--levels", o->levels, "number of noise levels, equally spaced in ln sigma")
      ->check(CLI::Range(2, 100))
      ->capture_default_str();
  command->add_option("--sigma-min", o->smallest, "lowest noise level")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--sigma-max", o->largest, "highest noise level")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("-o,--out", o->out,
                      "output: x.html, a page with a table and plots; x.svg or x.png, the plot of attention");
  command->footer(
      "\n"
      "Example:\n"
      "  diffit explain -m fashion-mnist --time -o time.html\n"
      "  diffit explain -m diffit_256.safetensors --time -n 2 --levels 4 -o time.html\n"
      "docs/ablations.md explains the numbers.");
  command->callback([o, &common] { run_explain(*o, common); });
}

}  // namespace diffit::cli

#include <algorithm>

#include "analysis/noise_error.h"
#include "analysis/time_movement.h"
#include "base/bundled.h"
#include "base/error.h"
#include "data/dataset.h"
#include "diffusion/generate.h"
#include "report/time_page.h"
#include "tools/diffit/machine.h"
#include "tools/diffit/progress.h"
#include "train/dataset_pictures.h"
#include "train/model_file.h"
#include "train/objective.h"

namespace diffit {

namespace {

struct ExplainOptions {
  std::string model, data, out;
  bool time = false;
  std::int64_t pictures = 16, levels = 8;
  double smallest = 0.02, largest = 20;
};

struct Shown {
  at::Tensor pictures, labels;  // [N, R, R, C] in [-1, 1]; [N] or undefined
  std::string description;
};

Shown from_data(const ExplainOptions& options, const ImageConfig& config) {
  const auto data = open_dataset(options.data, config.resolution);
  DIFFIT_CHECK(data->channels() == config.in_channels || data->channels() == 1,
               "{}: its pictures are in colour, the model makes grey ones", options.data);
  const std::int64_t count = std::min(options.pictures, data->size()), side = config.resolution;
  std::vector<std::int64_t> indices = index_range(0, count);
  for (std::int64_t& index : indices) index = index * data->size() / count;
  const at::Tensor bytes = picture_bytes(*data, indices).expand({count, side, side, config.in_channels});
  const at::Tensor labels = picture_labels(*data, indices);
  const at::Tensor known = at::where(labels.ge(0) & labels.lt(config.classes), labels, config.classes);
  return {bytes.to(at::kFloat) / 127.5 - 1, config.classes > 0 ? known : at::Tensor(),
          fmt::format("{} pictures of {}", count, data->source().describe())};
}

Shown from_model(const ExplainOptions& options, const ImageDiffiT& model) {
  const ImageConfig& config = model.config();
  ImageRequest wanted;
  wanted.ask_for_first(options.pictures, config.classes);
  std::vector<at::Tensor> pieces;
  generate(model, wanted, [&](std::int64_t, const at::Tensor& samples) { pieces.push_back(samples); });
  return {at::cat(pieces).permute({0, 2, 3, 1}).contiguous(),
          config.classes > 0 ? at::tensor(wanted.labels, at::kLong) : at::Tensor(),
          fmt::format("{} pictures of its own", options.pictures)};
}

void run_explain(const ExplainOptions& options, const CommonOptions& common) {
  DIFFIT_CHECK(options.time, "wanted --time: what attention does with the time token");
  DIFFIT_CHECK(options.largest > options.smallest, "--sigma-max {} is not above --sigma-min {}",
               options.largest, options.smallest);
  const Machine machine = open_machine(common, /*prefer_bf16=*/false);
  const fs::path path = model_path(options.model);
  Model loaded = load_model(WeightsFile(path), machine.device);
  auto* model = std::get_if<ImageDiffiT>(&loaded);
  DIFFIT_CHECK(model != nullptr, "{}: explain --time is for image-space models; this is a latent model",
               path.string());
  const ImageConfig& config = model->config();
  DIFFIT_CHECK(!config.is_ddpmpp(),
               "{}: explain --time looks into DiffiT's blocks; this is a DDPM++ (encoder 'ddpmpp')",
               path.string());
  const Shown shown = options.data.empty() ? from_model(options, *model) : from_data(options, config);
  ImageDiffiT untrained(config);
  initialise(untrained.parameters(), 0);
  prepare(untrained.parameters(), machine.device);

  std::vector<double> sigmas = noise_levels(options.smallest, options.largest, options.levels);
  std::reverse(sigmas.begin(), sigmas.end());
  const at::Tensor pictures = shown.pictures.to(machine.device);
  const at::Tensor labels = shown.labels.defined() ? shown.labels.to(machine.device) : at::Tensor();
  TimeExplanation explanation;
  explanation.model = options.model;
  explanation.pictures = shown.description;
  explanation.trained = measure_time_movement(*model, pictures, labels, sigmas);
  explanation.untrained = measure_time_movement(untrained, pictures, labels, sigmas);
  if (!options.out.empty()) write_time_picture(explanation, options.out);
  print_result(common,
               {{"model", options.model},
                {"time", config.time},
                {"pictures", shown.description},
                {"trained", to_json(explanation.trained)},
                {"untrained", to_json(explanation.untrained)}},
               time_markdown(explanation));
}

}  // namespace

void add_explain_command(CLI::App& app, CommonOptions& common) {
  auto o = std::make_shared<ExplainOptions>();
  CLI::App* command = add_command(app, common, "explain", "Show what attention does over denoising time");
  command->add_option("-m,--model", o->model, "model file, or bundled model")->required();
  command->add_flag(
      "--time", o->time,
      "how far attention, q, k and v of each layer move with the time token, trained and untrained");
  command->add_option("--data", o->data, "pictures to look at; default: the model's own samples");
  command->add_option("-n,--pictures", o->pictures, "how many")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  command->add_option("--levels", o->levels, "noise levels, equally far apart in ln sigma")
      ->check(CLI::Range(2, 100))
      ->capture_default_str();
  command->add_option("--sigma-min", o->smallest, "lowest noise level")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--sigma-max", o->largest, "highest noise level")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("-o,--out", o->out,
                      ".html: a page of table and plots; .svg, .png: the plot of attention");
  command->footer(
      "\nExample:\n"
      "  diffit explain -m fashion-mnist --time -o time.html\n"
      "docs/ablations.md says what the figures mean.");
  command->callback([o, &common] { run_explain(*o, common); });
}

}  // namespace diffit

#include <optional>

#include "base/error.h"
#include "base/output_check.h"
#include "base/text.h"
#include "config/set_option.h"
#include "tools/diffit/machine.h"
#include "tools/diffit/progress.h"
#include "tools/diffit/stop.h"
#include "tools/diffit/train_evaluation.h"
#include "tools/diffit/unfinished.h"
#include "train/plan.h"
#include "train/run.h"

namespace diffit::cli {

namespace {

struct TrainOptions {
  std::string config, data, out;
  std::vector<std::string> set;
  bool resume = false, dry_run = false, strict = false;
};

Recipe read_recipe_of(const TrainOptions& options) {
  const fs::path path = preset_path(options.config);
  Json toml = parse_toml(read_text(path, 1 << 20), path.string());
  bool images = false, epochs = false;
  for (const std::string& assignment : options.set) {
    set_by_path(toml, assignment);
    const std::string key(trim(std::string_view(assignment).substr(0, assignment.find('='))));
    images = images || key == "train.images";
    epochs = epochs || key == "train.epochs";
  }
  // A length on the command line takes the place of the file's, whichever way that states it.
  if (images != epochs && toml["train"].is_object()) toml["train"].erase(images ? "epochs" : "images");
  if (!options.data.empty()) set_in_table(toml, "data", "path", options.data, path.string());
  return read_recipe(toml, path.string());
}

/// The description of the images that are trained on; null where these are latents.
const DataDescription* description_of(const TrainingData& data) {
  const auto* images = std::get_if<std::shared_ptr<const Dataset>>(&data);
  return images != nullptr ? &(*images)->description() : nullptr;
}

/// GFLOP/s of matrix products here and now, for the cost of a dry run.
double measure_rate(const Machine& machine) {
  const at::Tensor a = at::ones({1024, 1024}, at::TensorOptions(machine.dtype).device(machine.device));
  a.mm(a);
  const auto start = std::chrono::steady_clock::now();
  double flops = 0, seconds = 0;
  while (seconds < 0.3) {
    a.mm(a).sum().item<double>();
    flops += 2.0 * 1024 * 1024 * 1024;
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  return flops / seconds;
}

/// Share of the matrix product rate that training this model reaches here; bench/ measures it.
constexpr double kExpectedShare = 0.4;

void print_plan(const CommonOptions& common, const Recipe& recipe, const DataSummary& data,
                const DataDescription* description, const Machine& machine) {
  const TrainingPlan plan = plan_training(recipe, data.resolution, machine.dtype == at::kFloat ? 4 : 2);
  const double rate = measure_rate(machine), seconds = plan.flops / (rate * kExpectedShare);
  const double memory = plan.weights_bytes + plan.activations_bytes;
  const double disk = plan.snapshot_bytes * static_cast<double>(plan.snapshots) +
                      plan.state_bytes * static_cast<double>(recipe.train.keep_states);
  Json object = {{"config", write_recipe(recipe)},
                 {"data",
                  {{"pictures", data.images},
                   {"resolution", data.resolution},
                   {"channels", data.channels},
                   {"classes", data.classes}}},
                 {"parameters", plan.network.parameters},
                 {"forward_macs", plan.network.layer_macs},
                 {"attention_macs", plan.network.attention_macs},
                 {"flops_per_image", plan.flops_per_image},
                 {"flops", plan.flops},
                 {"steps", plan.steps},
                 {"memory_bytes", memory},
                 {"disk_bytes", disk},
                 {"matmul_flops_per_second", rate},
                 {"estimated_seconds", seconds}};
  if (description != nullptr) object["data"]["description"] = description_json(*description);
  std::string text = format_toml(write_recipe(recipe));
  text += fmt::format("\n# data        {} pictures, {} x {} x {}, {} classes: {}\n", data.images,
                      data.resolution, data.resolution, data.channels, data.classes, data.description);
  if (description != nullptr) text += description_text(*description, "#             ");
  text += fmt::format("# parameters  {}\n", human_count(static_cast<double>(plan.network.parameters)));
  text += fmt::format("# work        {}MAC a forward and picture, {}FLOP an image trained, {}FLOP in all\n",
                      human_count(plan.network.layer_macs), human_count(plan.flops_per_image),
                      human_count(plan.flops));
  text += fmt::format("# steps       {} of {} images\n", plan.steps, recipe.train.batch);
  text += fmt::format(
      "# memory      {} for weights, gradients, moments and averages; {} for activations of {} images\n",
      human_bytes(plan.weights_bytes), human_bytes(plan.activations_bytes), recipe.train.microbatch);
  text +=
      fmt::format("# disk        {} snapshots of {}, {} states of {}\n", plan.snapshots,
                  human_bytes(plan.snapshot_bytes), recipe.train.keep_states, human_bytes(plan.state_bytes));
  text += fmt::format(
      "# time        about {} here: {}FLOP/s in {} matrix products measured now, {:.0f}% of it expected\n",
      human_seconds(seconds), human_count(rate), machine.dtype == at::kFloat ? "f32" : "bf16",
      100 * kExpectedShare);
  print_result(common, object, text);
}

std::string status_line(const TrainingStatus& s) {
  return fmt::format("{:.1f}/{:.1f} kimg  {:.1f} img/s  loss {:.4f}  lr {:.2e}  ETA {}  mem {}{}",
                     static_cast<double>(s.images) / 1000, static_cast<double>(s.all_images) / 1000,
                     s.images_per_second, s.loss, s.lr, human_seconds(s.seconds_left),
                     human_bytes(static_cast<double>(s.memory_bytes)),
                     s.skipped > 0 ? fmt::format("  skipped {}", s.skipped) : "");
}

void run_train(const TrainOptions& options, const CommonOptions& common) {
  const fs::path folder =
      options.out.empty() ? fs::path("runs") / fs::path(options.config).stem() : fs::path(options.out);
  if (!options.dry_run) check_output_folder(folder, "--out");
  Recipe recipe = read_recipe_of(options);
  const std::string where = preset_path(options.config).string();
  DIFFIT_CHECK(recipe.train.images > 0 || recipe.train.epochs > 0,
               "{}: train.images: wanted the length of the training there or in train.epochs, got 0", where);
  if (common.dtype != "auto") recipe.train.dtype = common.dtype;
  CommonOptions chosen = common;
  chosen.dtype = recipe.train.dtype;
  const Machine machine = open_machine(chosen, /*prefer_bf16=*/true);
  recipe.train.dtype = machine.dtype == at::kFloat ? "f32" : "bf16";
  refuse_unfinished(recipe.data.path, "data.path");
  const TrainingData data = open_training_data(recipe, where);
  const DataDescription* description = description_of(data);
  if (description != nullptr && options.strict) refuse_warnings(*description);
  resolve(recipe, data, where);
  std::optional<TrainEvaluation> evaluation;
  const std::atomic<bool>& stop = watch_for_stop();
  if (recipe.train.eval_images > 0) evaluation.emplace(recipe, data, where, machine, common, &stop);
  if (options.dry_run) {
    print_plan(common, recipe, summary(data), description, machine);
    return;
  }

  TrainingRequest request{recipe, data, folder, options.resume, machine.device, machine.dtype, &stop};
  if (evaluation) request.evaluate = [&](const Exhibit& averaged) { return (*evaluation)(averaged); };
  request.preamble = {"command: " + common.typed, "machine: " + describe(machine)};
  ProgressLine line(common);
  if (description != nullptr) {
    request.preamble.push_back("data: " + description->kind);
    for (const std::string& text : split(description_text(*description), '\n')) {
      if (!text.empty()) request.preamble.push_back("data: " + text);
    }
    for (const std::string& warning : description->warnings) line.say("warning: " + warning);
  }
  line.say(fmt::format(
      "{} parameters, {} pictures, {} images to {}",
      human_count(static_cast<double>(plan_training(recipe, summary(data).resolution, 4).network.parameters)),
      summary(data).images, recipe.train.images, request.folder.string()));
  TrainingStatus last;
  TrainingListener listener;
  listener.stepped = [&](const TrainingStatus& status) {
    last = status;
    line.show(status_line(status));
  };
  listener.said = [&](const std::string& text) { line.say(text); };
  const TrainingEnd end = run_training(request, listener);
  if (end == TrainingEnd::interrupted) {
    fail("interrupted at {} images; the state is saved, go on with --resume", last.images);
  }
  const bool nothing = end == TrainingEnd::nothing_left;
  print_result(common,
               {{"folder", request.folder.string()},
                {"images", nothing ? recipe.train.images : last.images},
                {"loss", nothing ? Json() : Json(last.loss)},
                {"images_per_second", nothing ? Json() : Json(last.images_per_second)},
                {"skipped", last.skipped}},
               nothing ? fmt::format("{}: nothing left to do, {} images are trained", request.folder.string(),
                                     recipe.train.images)
                       : request.folder.string());
}

}  // namespace

void add_train_command(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<TrainOptions>();
  CLI::App* command =
      add_command(app, common, "train", "Train a model or an autoencoder by a preset or a TOML file");
  command
      ->add_option("config", options->config,
                   fmt::format("TOML file, or preset: {}", fmt::join(preset_names(), ", ")))
      ->required();
  command->add_option("--data", options->data,
                      "instead of data.path: IDX(.gz), CIFAR binary, zip or folder; latents");
  command->add_option("--out", options->out, "run folder; default runs/CONFIG");
  command->add_option("--set", options->set,
                      "key=value of the config, e.g. train.images=100000; may be repeated");
  command->add_flag("--resume", options->resume, "go on from the newest whole state of the run folder");
  command->add_flag("--strict", options->strict,
                    "refuse (exit code 2) data that would be warned of: see diffit data info");
  command->add_flag("--dry-run", options->dry_run,
                    "check the data, print resolved config and costs, write nothing");
  command->footer(
      "\nExamples:\n"
      "  diffit train smoke --out /tmp/run\n"
      "  diffit train cifar10 --data cifar-10-batches-bin --dry-run\n"
      "  diffit train fashion-mnist --set train.images=500000 --resume\n"
      "The run folder gets config.toml, log.txt, stats.jsonl, TensorBoard events, sample grids, snapshots "
      "(weights and\n"
      "averages) and states. Ctrl-C saves a state and exits with 1.");
  command->callback([options, &common] { run_train(*options, common); });
}

}  // namespace diffit::cli

// diffit train: a training, or what it would cost.
#include <functional>

#include "base/bundled.h"
#include "base/cpu_count.h"
#include "base/text.h"
#include "dist/spawn.h"
#include "jobs/train_evaluation.h"
#include "jobs/train_job.h"
#include "tools/diffit/progress.h"
#include "train/plan.h"

namespace diffit::cli {

namespace {

/// GFLOP/s of matrix products here and now, for the cost of a dry run.
double measure_rate(const Runtime& machine) {
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
                const DataDescription* description, const Runtime& machine) {
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
  text += fmt::format("\n# data        {} images, {} x {} x {}, {} classes: {}\n", data.images,
                      data.resolution, data.resolution, data.channels, data.classes, data.description);
  if (description != nullptr) text += description_text(*description, "#             ");
  text += fmt::format("# parameters  {}\n", human_count(static_cast<double>(plan.network.parameters)));
  text += fmt::format(
      "# work        {}MAC per forward pass and image, {}FLOP per training image, {}FLOP in total\n",
      human_count(plan.network.layer_macs), human_count(plan.flops_per_image), human_count(plan.flops));
  text += fmt::format("# steps       {} of {} images\n", plan.steps, recipe.train.batch);
  text += fmt::format(
      "# memory      {} for weights, gradients, optimizer moments and EMA weights; {} for activations of {} "
      "images\n",
      human_bytes(plan.weights_bytes), human_bytes(plan.activations_bytes), recipe.train.microbatch);
  text +=
      fmt::format("# disk        {} snapshots of {}, {} checkpoints of {}\n", plan.snapshots,
                  human_bytes(plan.snapshot_bytes), recipe.train.keep_states, human_bytes(plan.state_bytes));
  text += fmt::format(
      "# time        about {} on this machine: {}FLOP/s measured in {} matrix products, of which training is "
      "expected to reach {:.0f}%\n",
      human_seconds(seconds), human_count(rate), machine.dtype == at::kFloat ? "f32" : "bf16",
      100 * kExpectedShare);
  print_result(common, object, text);
}

std::string status_line(const TrainStep& s) {
  return fmt::format("{:.1f}/{:.1f} kimg  {:.1f} img/s{}  loss {:.4f}  lr {:.2e}  ETA {}  mem {}{}",
                     static_cast<double>(s.images) / 1000, static_cast<double>(s.total_images) / 1000,
                     s.images_per_second, s.mfu > 0 ? fmt::format(" ({:.0f}% MFU)", 100 * s.mfu) : "", s.loss,
                     s.lr, human_seconds(s.seconds_left), human_bytes(static_cast<double>(s.memory_bytes)),
                     s.skipped > 0 ? fmt::format("  skipped {}", s.skipped) : "");
}

/// Shows the steps of a training.
class TrainingDisplay : public TerminalMonitor {
 public:
  using TerminalMonitor::TerminalMonitor;
  void step(const TrainStep& step) override { line_.show(status_line(step)); }
};

/// The command line without --ranks.
std::vector<std::string> command_of_rank(const CommonOptions& common) {
  std::vector<std::string> words;
  for (std::size_t i = 1; i < common.words.size(); ++i) {
    const std::string& word = common.words[i];
    if (word == "--ranks") {
      ++i;
    } else if (!word.starts_with("--ranks=")) {
      words.push_back(word);
    }
  }
  words.insert(words.begin(), fs::read_symlink("/proc/self/exe").string());
  return words;
}

/// Trains with `ranks` processes of this program on this machine.
void run_ranks_here(int ranks, const CommonOptions& common) {
  DIFFIT_CHECK(dist::place_from_environment().launcher.empty(),
               "--ranks {}: this process was started by {} as one of several already; leave --ranks out",
               ranks, dist::place_from_environment().launcher);
  watch_for_stop();
  dist::SpawnRequest request;
  request.ranks = ranks;
  request.command = command_of_rank(common);
  request.threads = common.threads > 0 ? 0 : std::max(1, cpu_count() / ranks);
  request.stop = stop_requested;
  const int code = dist::run_ranks(request);
  if (code != 0) throw Ended{code > 127 ? 1 : code};
}

/// The leader's errors need no rank.
void train_as_rank(const std::function<void()>& train) {
  const int rank = dist::place_from_environment().rank;
  try {
    train();
  } catch (const Error& error) {
    if (rank == 0) throw;
    if (error.kind() == ErrorKind::cancelled) throw Ended{1};
    throw Error(error.kind(), fmt::format("rank {}: {}", rank, error.what()));
  }
}

void run_train(TrainSpec spec, bool dry_run, const CommonOptions& common) {
  TrainingDisplay display(common);
  spec.preamble = {"command: " + common.typed};
  spec.join = !dry_run;
  const PreparedTraining prepared = prepare_training(spec, common, !dry_run, display);
  if (dry_run) {
    if (prepared.recipe.train.eval_images > 0)
      TrainEvaluation(prepared.recipe, prepared.data, prepared.where, prepared.runtime, display);
    print_plan(common, prepared.recipe, summary(prepared.data), prepared.description(), prepared.runtime);
    return;
  }
  watch_for_stop();
  const TrainResult result = run_prepared(spec, prepared, display);
  if (!prepared.group->leads()) return;
  print_result(common,
               {{"folder", result.folder},
                {"images", result.images},
                {"loss", result.nothing_left ? Json() : Json(result.loss)},
                {"images_per_second", result.nothing_left ? Json() : Json(result.images_per_second)},
                {"skipped", result.skipped}},
               result.nothing_left
                   ? fmt::format("{}: already trained for {} images", result.folder, result.images)
                   : result.folder);
}

}  // namespace

void add_train_command(CLI::App& app, CommonOptions& common) {
  auto options = std::make_shared<TrainSpec>();
  auto dry_run = std::make_shared<bool>(false);
  CLI::App* command =
      add_command(app, common, "train", "Train a model or an autoencoder from a preset or a TOML recipe");
  command
      ->add_option("config", options->config,
                   fmt::format("recipe: a TOML file, or a preset: {}", fmt::join(preset_names(), ", ")))
      ->required();
  command->add_option("--data", options->data,
                      "training data, replaces data.path: IDX(.gz), CIFAR, zip or folder of images; "
                      "for latent models a folder of latents");
  command->add_option("--out", options->out, "run folder; default runs/CONFIG");
  command->add_option("--set", options->set,
                      "override a key of the recipe, KEY=VALUE, e.g. train.images=100000; may be repeated");
  command->add_flag("--resume", options->resume,
                    "resume from the newest complete checkpoint in the run folder");
  command->add_flag("--strict", options->strict,
                    "treat warnings about the data as errors (exit code 2); see diffit data info");
  auto ranks = std::make_shared<int>(1);
  command
      ->add_option(
          "--ranks", *ranks,
          "train with so many processes on this machine, which share each batch; the result is the same "
          "for any number of them, bit for bit (see dist.shards). torchrun, mpirun and srun start "
          "processes on several machines")
      ->check(CLI::Range(1, 4096));
  command->add_flag("--dry-run", *dry_run,
                    "check the data, print the resolved recipe and its costs, and write nothing");
  command->footer(
      "\n"
      "Examples:\n"
      "  diffit train smoke --out /tmp/run\n"
      "  diffit train cifar10 --data cifar-10-batches-bin --dry-run\n"
      "  diffit train fashion-mnist --set train.images=500000 --resume\n"
      "The run folder receives config.toml, log.txt, stats.jsonl, TensorBoard events, sample grids, "
      "snapshots (weights and\n"
      "EMA weights) and checkpoints. Ctrl-C saves a checkpoint and exits with code 1.");
  command->callback([options, dry_run, ranks, &common] {
    if (*ranks > 1 && !*dry_run) return run_ranks_here(*ranks, common);
    train_as_rank([&] { run_train(*options, *dry_run, common); });
  });
}

}  // namespace diffit::cli

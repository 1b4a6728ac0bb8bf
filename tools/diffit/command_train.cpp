// diffit train: a training, or what it would cost.
#include <functional>

#include "base/bundled.h"
#include "base/cpu_count.h"
#include "base/text.h"
#include "diffit/train_plan.h"
#include "dist/spawn.h"
#include "jobs/train_job.h"
#include "tools/diffit/progress.h"

namespace diffit::cli {

namespace {

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
  if (dry_run) {
    const TrainPlan plan = plan_training(spec, common, display);
    return print_result(common, Json::parse(plan.json), plan.text);
  }
  spec.preamble = {"command: " + common.typed};
  spec.join = true;
  const PreparedTraining prepared = prepare_training(spec, common, /*will_write=*/true, display);
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

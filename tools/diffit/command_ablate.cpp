#include "base/bundled.h"
#include "base/error.h"
#include "base/output_check.h"
#include "config/json_text.h"
#include "config/set_option.h"
#include "jobs/train_evaluation.h"
#include "report/ablation_page.h"
#include "report/render.h"
#include "tools/diffit/command.h"
#include "tools/diffit/progress.h"
#include "tools/diffit/stop.h"

namespace diffit::cli {

namespace {

struct AblateOptions {
  std::string experiment, data, out, record, features;
  std::vector<std::string> set, only, from;
  std::vector<std::int64_t> seeds;
  bool dry_run = false, train_only = false;
};

Experiment experiment_of(const AblateOptions& options, const std::string& where) {
  Json toml = parse_toml(read_text(where, 1 << 20), where);
  for (const std::string& assignment : options.set) set_by_path(toml, assignment);
  if (!options.features.empty()) set_in_table(toml, "score", "features", options.features, where);
  if (!options.seeds.empty()) toml["seeds"] = options.seeds;
  Experiment experiment = read_experiment(toml, where);
  keep_variants(experiment, options.only);
  return experiment;
}

void print_plan(const CommonOptions& common, const Plan& plan, const Runtime& machine) {
  Json object = {{"experiment", write_experiment(plan.experiment)}, {"variants", Json::array()}};
  std::string text = fmt::format("{:<24} {:>12} {:>9} {:>12} {:>10} {:>10} {:>10}\n", "variant", "parameters",
                                 "GMAC", "images", "PFLOP", "ms/image", "time");
  double all = 0;
  const auto seeds = static_cast<double>(plan.experiment.seeds.size());
  for (const PlannedVariant& v : plan.variants) {
    const double macs = v.cost.layer_macs + v.cost.attention_macs;
    const auto images = static_cast<double>(v.recipe.train.images);
    const double step = seconds_per_image(v, plan.data, machine.device, machine.dtype);
    // A forward is a third of a training step; Heun's method takes two a step, but one at the end.
    const double samples =
        static_cast<double>(plan.experiment.score.samples +
                            plan.experiment.score.curve_samples * (plan.experiment.snapshots - 1));
    const double sampling = samples * static_cast<double>(2 * plan.experiment.score.steps - 1) * step / 3;
    const double seconds = images * step + sampling;
    all += seconds * seeds;
    object["variants"].push_back({{"name", v.section.name},
                                  {"parameters", v.cost.parameters},
                                  {"macs", macs},
                                  {"images", v.recipe.train.images},
                                  {"flops", v.flops_per_image * images},
                                  {"seconds_per_image", step},
                                  {"estimated_seconds", seconds}});
    text +=
        fmt::format("{:<24} {:>12} {:>9.4f} {:>12} {:>10.4f} {:>10.3f} {:>10}\n", v.section.name,
                    human_count(static_cast<double>(v.cost.parameters)), macs / 1e9, v.recipe.train.images,
                    v.flops_per_image * images / 1e15, 1000 * step, human_seconds(seconds));
  }
  object["estimated_seconds"] = all;
  text += fmt::format(
      "\n"
      "{} training runs and their scores: about {} on this machine, one after the other\n",
      plan.variants.size() * plan.experiment.seeds.size(), human_seconds(all));
  print_result(common, object, text);
}

/// Beside what the folder has: the records of finished trials, for --record.
void write_records(const AblationResults& results, const Plan& plan, const fs::path& folder,
                   const fs::path& record) {
  for (std::size_t v = 0; v < plan.variants.size(); ++v) {
    for (const TrialResult& trial : results.variants[v].trials) {
      const RunFolder to = trial_folder(record, plan.variants[v], trial.seed);
      std::error_code none;
      if (!trial.final_score() || fs::exists(scores_path(to), none)) continue;
      Recipe recipe = plan.variants[v].recipe;
      recipe.train.seed = trial.seed;
      write_record(trial_folder(folder, plan.variants[v], trial.seed), recipe, to);
    }
  }
}

void write_results(const AblationResults& results, const CommonOptions& common, const fs::path& folder) {
  write_file(folder / "results.json", json_text(to_json(results), 1) + "\n");
  write_file(folder / "table.md", ablation_markdown(results));
  write_page(ablation_page(results, common.typed), folder / "page.html");
}

/// Shows an experiment on stderr; `finished` is called after each trial.
class ExperimentMonitor : public AblationMonitor {
 public:
  ExperimentMonitor(const CommonOptions& common, std::function<void()> finished)
      : line_(common), finished_(std::move(finished)) {}
  void trained(const std::string& trial, const TrainStep& s) override {
    line_.show(fmt::format("{}  {:.1f}/{:.1f} kimg  {:.1f} img/s  loss {:.4f}  ETA {}", trial,
                           static_cast<double>(s.images) / 1000, static_cast<double>(s.total_images) / 1000,
                           s.images_per_second, s.loss, human_seconds(s.seconds_left)));
  }
  void scored(const std::string& trial, const Progress& p) override {
    line_.show(fmt::format("{}  scoring {}/{}", trial, p.done, p.total));
  }
  void note(const std::string& text) override { line_.say(text); }
  void warning(const std::string& text) override { line_.say("warning: " + text); }
  void finished() override { finished_(); }
  bool cancelled() override { return stop_requested(); }

 private:
  ProgressLine line_;
  std::function<void()> finished_;
};

void run_ablate(const AblateOptions& options, const CommonOptions& common) {
  DIFFIT_CHECK(!options.train_only || (options.from.empty() && options.record.empty()),
               "--train-only cannot be combined with --from or --record, which need scores; leave them out");
  const fs::path folder =
      options.out.empty() ? fs::path("runs") / fs::path(options.experiment).stem() : fs::path(options.out);
  if (!options.dry_run) check_output_folder(folder, "--out");
  if (!options.dry_run && !options.record.empty()) check_output_folder(options.record, "--record");
  const std::string where = experiment_path(options.experiment).string();
  const Experiment experiment = experiment_of(options, where);
  const Runtime machine = open_machine(common, /*prefer_bf16=*/true);
  const Plan plan =
      plan_experiment(experiment, options.data, machine.dtype == at::kFloat ? "f32" : "bf16", where);
  std::unique_ptr<FeatureNetwork> features;
  if (!options.train_only && !options.dry_run) {
    features = load_feature_network(experiment.score.features, machine.device, at::kFloat);
  }
  if (options.dry_run) {
    print_plan(common, plan, machine);
    return;
  }

  AblationRequest request{plan, {}, machine.device, machine.dtype, features.get(), {}};
  request.folder = folder;
  watch_for_stop();
  for (const std::string& given : options.from) request.from.emplace_back(given);
  if (!options.record.empty()) {
    std::error_code error;
    DIFFIT_CHECK(!fs::equivalent(request.folder, options.record, error),
                 "--record {}: this is the folder of --out; give another folder", options.record);
    fs::create_directories(options.record, error);
    if (error) fail("--record {}: cannot create the folder: {}", options.record, error.message());
  }
  TerminalMonitor evaluation_monitor(common);
  request.evaluation = [&](const Recipe& recipe, const TrainingData& data) {
    auto evaluation = std::make_shared<TrainEvaluation>(recipe, data, where, machine, evaluation_monitor);
    return [evaluation](const Exhibit& averaged) { return (*evaluation)(averaged); };
  };
  const FeatureInfo* info = features ? &features->info() : nullptr;
  const auto write = [&] {
    AblationResults results = collect(plan, request.folder, info);
    write_results(results, common, request.folder);
    if (!options.record.empty()) {
      write_records(results, plan, request.folder, options.record);
      write_results(results, common, options.record);
      write_plots(ablation_page(results, common.typed), fs::path(options.record) / "plots");
    }
    return results;
  };
  ExperimentMonitor monitor(common, write);
  const AblationEnd end = run_ablation(request, monitor);
  const AblationResults results = write();
  if (end.interrupted) {
    fail("interrupted after {} of {} training runs; run the same command again to continue", results.finished,
         end.all);
  }
  if (end.elsewhere > 0) {
    monitor.note(
        fmt::format("{} training runs are being run by other processes; run the same command later to "
                    "collect their results",
                    end.elsewhere));
  }
  print_result(common, to_json(results), ablation_markdown(results));
}

}  // namespace

void add_ablate_command(CLI::App& app, CommonOptions& common) {
  auto o = std::make_shared<AblateOptions>();
  CLI::App* command =
      add_command(app, common, "ablate",
                  "Train and score variants of a model under one budget and compare them with the paper");
  command
      ->add_option("experiment", o->experiment,
                   fmt::format("experiment: a TOML file, or one of: {}", fmt::join(experiment_names(), ", ")))
      ->required();
  command->add_option("--data", o->data, "training data; default data.path of the base recipe");
  command->add_option("--out", o->out, "output folder of the experiment; default runs/EXPERIMENT");
  command->add_option(
      "--from", o->from,
      "folders or records of other experiments, or zips of them; runs finished there are reused instead of "
      "trained");
  command->add_option("--record", o->record,
                      "also write a record to this folder: tables and the results of finished runs, without "
                      "weights; a later --from can read it");
  command->add_option(
      "--set", o->set,
      "override a key of the experiment, KEY=VALUE, e.g. images=100000 or score.pictures=1000");
  command->add_option("--only", o->only, "run only these variants; the reference is always included")
      ->delimiter(',');
  command->add_option("--seeds", o->seeds, "training seeds; default those of the experiment")->delimiter(',');
  command->add_option("--features", o->features,
                      "feature network: a bundled one or an Inception-v3 file; default score.features");
  command->add_flag("--train-only", o->train_only,
                    "train without scoring; run the command again without this option to score");
  command->add_flag("--dry-run", o->dry_run,
                    "print the costs, with a measured step of each variant, and write nothing");
  command->footer(
      "\n"
      "Examples:\n"
      "  diffit ablate fashion-time --dry-run\n"
      "  diffit ablate fashion-time --threads 1 --out runs/time\n"
      "  diffit ablate fashion-window --from docs/results/fashion-time --record results/window\n"
      "Several processes may share one --out: each takes the next run that no other process works on. Run "
      "the\n"
      "same command again to resume a killed run from its last checkpoint. See docs/ablations.md.");
  command->callback([o, &common] { run_ablate(*o, common); });
}

}  // namespace diffit::cli

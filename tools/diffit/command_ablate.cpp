#include "diffit/ablate.h"

#include "base/bundled.h"
#include "base/text.h"
#include "config/json_text.h"
#include "tools/diffit/progress.h"

namespace diffit::cli {

namespace {

void print_plan(const AblateSpec& spec, const CommonOptions& common) {
  TerminalMonitor monitor(common);
  const AblatePlan plan = plan_ablation(spec, common, monitor);
  Json object = {{"experiment", Json::parse(plan.experiment)}, {"variants", Json::array()}};
  std::string text = fmt::format("{:<24} {:>12} {:>9} {:>12} {:>10} {:>10} {:>10}\n", "variant", "parameters",
                                 "GMAC", "images", "PFLOP", "ms/image", "time");
  for (const AblatePlan::Variant& v : plan.variants) {
    object["variants"].push_back({{"name", v.name},
                                  {"parameters", v.parameters},
                                  {"macs", v.macs},
                                  {"images", v.images},
                                  {"flops", v.flops},
                                  {"seconds_per_image", v.seconds_per_image},
                                  {"estimated_seconds", v.seconds}});
    text += fmt::format("{:<24} {:>12} {:>9.4f} {:>12} {:>10.4f} {:>10.3f} {:>10}\n", v.name,
                        human_count(static_cast<double>(v.parameters)), v.macs / 1e9, v.images,
                        v.flops / 1e15, 1000 * v.seconds_per_image, human_seconds(v.seconds));
  }
  object["estimated_seconds"] = plan.seconds;
  text += fmt::format(
      "\n"
      "{} training runs and their scores: about {} on this machine, one after the other\n",
      plan.runs, human_seconds(plan.seconds));
  print_result(common, object, text);
}

/// Shows an experiment on stderr.
class ExperimentDisplay : public AblateMonitor {
 public:
  explicit ExperimentDisplay(const CommonOptions& common) : line_(common) {}
  void progress(const Progress& p) override {
    line_.show_count(static_cast<double>(p.done), static_cast<double>(p.total), p.unit);
  }
  void trained(const std::string& run, const TrainStep& s) override {
    line_.show(fmt::format("{}  {:.1f}/{:.1f} kimg  {:.1f} img/s  loss {:.4f}  ETA {}", run,
                           static_cast<double>(s.images) / 1000, static_cast<double>(s.total_images) / 1000,
                           s.images_per_second, s.loss, human_seconds(s.seconds_left)));
  }
  void evaluated(const std::string& run, const EvaluationEvent& event) override {
    std::string text = fmt::format("{}: after {} training images", run, event.images);
    for (const auto& [name, value] : event.metrics) text += fmt::format(", {} {:.4g}", name, value);
    line_.say(text);
  }
  void scored(const std::string& run, const Progress& p) override {
    line_.show(fmt::format("{}  scoring {}/{}", run, p.done, p.total));
  }
  void note(const std::string& text) override { line_.say(text); }
  void warning(const std::string& text) override { line_.say("warning: " + text); }
  bool cancelled() override { return watch_for_stop(); }

 private:
  ProgressLine line_;
};

void print_ablation(AblateSpec spec, const CommonOptions& common) {
  spec.command = common.typed;
  AblateResult result;
  {
    ExperimentDisplay display(common);
    result = ablate(spec, common, display);
  }
  print_result(common, Json::parse(result.json), result.markdown);
}

}  // namespace

void add_ablate_command(CLI::App& app, CommonOptions& common) {
  auto o = std::make_shared<AblateSpec>();
  auto dry_run = std::make_shared<bool>(false);
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
  command->add_flag("--dry-run", *dry_run,
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
  command->callback(
      [o, dry_run, &common] { *dry_run ? print_plan(*o, common) : print_ablation(*o, common); });
}

}  // namespace diffit::cli

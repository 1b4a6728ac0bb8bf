// The job behind diffit/ablate.h.
#include "diffit/ablate.h"

#include "analysis/ablation_results.h"
#include "base/bundled.h"
#include "base/output_check.h"
#include "config/json_text.h"
#include "config/set_option.h"
#include "io/text_file.h"
#include "jobs/guard.h"
#include "jobs/train_evaluation.h"
#include "report/ablation_page.h"
#include "report/render.h"
#include "runtime/runtime.h"

namespace diffit::jobs {

namespace {

Experiment experiment_of(const AblateSpec& spec, const std::string& where) {
  Json toml = read_toml(where);
  for (const std::string& assignment : spec.set) set_by_path(toml, assignment);
  if (!spec.features.empty()) set_in_table(toml, "score", "features", spec.features, where);
  if (!spec.seeds.empty()) toml["seeds"] = spec.seeds;
  Experiment experiment = read_experiment(toml, where);
  keep_variants(experiment, spec.only);
  return experiment;
}

/// An experiment, read and checked.
struct Prepared {
  std::string where;
  Experiment experiment;
  Runtime runtime;
  Plan plan;
};

Prepared prepare(const AblateSpec& spec, const RuntimeOptions& options, Monitor& monitor) {
  DIFFIT_CHECK(!spec.train_only || (spec.from.empty() && spec.record.empty()),
               "`train_only` cannot be combined with `from` or `record`, which need scores; leave them out");
  Prepared p;
  p.where = experiment_path(spec.experiment).string();
  p.experiment = experiment_of(spec, p.where);
  p.runtime = open_runtime(options, /*prefer_bf16=*/true, monitor);
  p.plan = plan_experiment(p.experiment, spec.data, p.runtime.dtype == at::kFloat ? "f32" : "bf16", p.where);
  return p;
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

void write_results(const AblationResults& results, const AblateSpec& spec, const fs::path& folder) {
  write_file(folder / "results.json", json_text(to_json(results), 1) + "\n");
  write_file(folder / "table.md", ablation_markdown(results));
  write_page(ablation_page(results, spec.command), folder / "page.html");
}

void make_record_folder(const AblateSpec& spec, const fs::path& folder) {
  std::error_code error;
  DIFFIT_CHECK(!fs::equivalent(folder, spec.record, error),
               "`record` {}: this is the folder of `out`; give another folder", spec.record);
  fs::create_directories(spec.record, error);
  if (error) fail("`record` {}: cannot create the folder: {}", spec.record, error.message());
}

/// Passes everything on; `write` is called before finished().
class WritingMonitor : public AblateMonitor {
 public:
  WritingMonitor(AblateMonitor& monitor, std::function<void()> write)
      : monitor_(monitor), write_(std::move(write)) {}
  void progress(const Progress& p) override { monitor_.progress(p); }
  void warning(const std::string& text) override { monitor_.warning(text); }
  void note(const std::string& text) override { monitor_.note(text); }
  bool cancelled() override { return monitor_.cancelled(); }
  void trained(const std::string& run, const TrainStep& step) override { monitor_.trained(run, step); }
  void evaluated(const std::string& run, const EvaluationEvent& event) override {
    monitor_.evaluated(run, event);
  }
  void scored(const std::string& run, const Progress& p) override { monitor_.scored(run, p); }
  void finished() override {
    write_();
    monitor_.finished();
  }

 private:
  AblateMonitor& monitor_;
  std::function<void()> write_;
};

SeedInterval interval_of(const SeedMean& mean) {
  SeedInterval interval{mean.seeds, mean.mean, {}};
  if (mean.low && mean.high) interval.interval = {*mean.low, *mean.high};
  return interval;
}

AblateResult result_of(const AblationResults& results, const AblationEnd& end, const fs::path& folder) {
  AblateResult result;
  result.folder = folder.string();
  result.score_label = results.score_label;
  for (const VariantResult& v : results.variants) {
    AblateResult::Variant& to = result.variants.emplace_back();
    to.name = v.section.name;
    to.label = v.section.label;
    to.row = v.section.row;
    to.parameters = v.parameters;
    to.macs = v.macs;
    to.images = v.images;
    to.flops = v.flops;
    if (v.score) to.score = interval_of(*v.score);
    if (v.score_difference) to.difference = interval_of(*v.score_difference);
    if (v.section.published > 0) to.published = v.section.published;
    to.verdict = to_text(v.verdict);
  }
  result.finished = results.finished;
  result.runs = end.all;
  result.elsewhere = end.elsewhere;
  result.json = json_text(to_json(results), 1);
  result.markdown = ablation_markdown(results);
  return result;
}

AblateResult run_ablate(const AblateSpec& spec, const RuntimeOptions& options, AblateMonitor& monitor) {
  const fs::path folder =
      spec.out.empty() ? fs::path("runs") / fs::path(spec.experiment).stem() : fs::path(spec.out);
  check_output_folder(folder, "`out`");
  if (!spec.record.empty()) check_output_folder(spec.record, "`record`");
  const Prepared p = prepare(spec, options, monitor);
  std::unique_ptr<FeatureNetwork> features;
  if (!spec.train_only)
    features = load_feature_network(p.experiment.score.features, p.runtime.device, at::kFloat);
  AblationRequest request{p.plan, folder, p.runtime.device, p.runtime.dtype, features.get(), {}};
  for (const std::string& given : spec.from) request.from.emplace_back(given);
  if (!spec.record.empty()) make_record_folder(spec, folder);
  request.evaluation = [&](const Recipe& recipe, const TrainingData& data) {
    auto evaluation = std::make_shared<TrainEvaluation>(recipe, data, p.where, p.runtime, monitor);
    return [evaluation](const Exhibit& averaged) { return (*evaluation)(averaged); };
  };
  const FeatureInfo* info = features ? &features->info() : nullptr;
  const auto write = [&] {
    AblationResults results = collect(p.plan, folder, info);
    write_results(results, spec, folder);
    if (!spec.record.empty()) {
      write_records(results, p.plan, folder, spec.record);
      write_results(results, spec, spec.record);
      write_plots(ablation_page(results, spec.command), fs::path(spec.record) / "plots");
    }
    return results;
  };
  WritingMonitor writing(monitor, write);
  const AblationEnd end = run_ablation(request, writing);
  const AblationResults results = write();
  if (end.interrupted) {
    throw Error(
        ErrorKind::cancelled,
        fmt::format("interrupted after {} of {} training runs; run the same command again to continue",
                    results.finished, end.all));
  }
  if (end.elsewhere > 0) {
    monitor.note(
        fmt::format("{} training runs are being run by other processes; run the same command later to "
                    "collect their results",
                    end.elsewhere));
  }
  return result_of(results, end, folder);
}

AblatePlan plan_of(const AblateSpec& spec, const RuntimeOptions& options, Monitor& monitor) {
  const Prepared p = prepare(spec, options, monitor);
  const ScoreSection& score = p.plan.experiment.score;
  AblatePlan result;
  result.experiment = json_text(write_experiment(p.plan.experiment));
  const std::size_t seeds = p.plan.experiment.seeds.size();
  for (const PlannedVariant& v : p.plan.variants) {
    AblatePlan::Variant& to = result.variants.emplace_back();
    to.name = v.section.name;
    to.parameters = v.cost.parameters;
    to.macs = v.cost.layer_macs + v.cost.attention_macs;
    to.images = v.recipe.train.images;
    const auto images = static_cast<double>(to.images);
    to.flops = v.flops_per_image * images;
    to.seconds_per_image = seconds_per_image(v, p.plan.data, p.runtime.device, p.runtime.dtype);
    // A forward is a third of a training step; Heun's method takes two a step, but one at the end.
    const double samples =
        static_cast<double>(score.samples + score.curve_samples * (p.plan.experiment.snapshots - 1));
    const double sampling = samples * static_cast<double>(2 * score.steps - 1) * to.seconds_per_image / 3;
    to.seconds = images * to.seconds_per_image + sampling;
    result.seconds += to.seconds * static_cast<double>(seeds);
  }
  result.runs = static_cast<std::int64_t>(p.plan.variants.size() * seeds);
  return result;
}

}  // namespace

}  // namespace diffit::jobs

namespace diffit {

AblateResult ablate(const AblateSpec& spec, const RuntimeOptions& runtime, AblateMonitor& monitor) {
  return jobs::guarded([&] { return jobs::run_ablate(spec, runtime, monitor); });
}

AblateResult ablate(const AblateSpec& spec, const RuntimeOptions& runtime) {
  AblateMonitor ignoring;
  return ablate(spec, runtime, ignoring);
}

AblatePlan plan_ablation(const AblateSpec& spec, const RuntimeOptions& runtime, Monitor& monitor) {
  return jobs::guarded([&] { return jobs::plan_of(spec, runtime, monitor); });
}

}  // namespace diffit

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <optional>

#include "base/bundled.h"
#include "base/error.h"
#include "base/output_check.h"
#include "base/text.h"
#include "config/set_option.h"
#include "dist/place.h"
#include "io/text_file.h"
#include "jobs/describe_runtime.h"
#include "jobs/guard.h"
#include "jobs/no_monitor.h"
#include "jobs/train_evaluation.h"
#include "jobs/train_job.h"
#include "jobs/unfinished.h"
#include "train/plan.h"
#include "train/run.h"

namespace diffit::jobs {

namespace {

Recipe read_recipe_of(const TrainSpec& spec, const fs::path& path) {
  Json toml = read_toml(path);
  bool images = false, epochs = false;
  for (const std::string& assignment : spec.set) {
    set_in_recipe(toml, assignment);
    const std::string key(trim(std::string_view(assignment).substr(0, assignment.find('='))));
    images = images || key == "train.images";
    epochs = epochs || key == "train.epochs";
  }
  // A length among the overrides replaces that of the file, whichever way the file states it.
  if (images != epochs && toml["train"].is_object()) toml["train"].erase(images ? "epochs" : "images");
  if (!spec.data.empty()) set_in_table(toml, "data", "path", spec.data, path.string());
  return read_recipe(toml, path.string());
}

/// Monitor of every rank but 0: the caller's monitor is asked whether to stop, and receives no events.
class CancelOnly : public TrainMonitor {
 public:
  explicit CancelOnly(Monitor& monitor) : monitor_(monitor) {}
  bool cancelled() override { return monitor_.cancelled(); }

 private:
  Monitor& monitor_;
};

/// Passes everything on and keeps the last step.
class LastStep : public TrainMonitor {
 public:
  explicit LastStep(TrainMonitor& monitor) : monitor_(monitor) {}
  void progress(const Progress& p) override { monitor_.progress(p); }
  void warning(const std::string& text) override { monitor_.warning(text); }
  void note(const std::string& text) override { monitor_.note(text); }
  bool cancelled() override { return monitor_.cancelled(); }
  void step(const TrainStep& step) override {
    last = step;
    monitor_.step(step);
  }
  void snapshot(const SnapshotEvent& event) override { monitor_.snapshot(event); }
  void evaluated(const EvaluationEvent& event) override { monitor_.evaluated(event); }
  void skipped(const SkippedStepEvent& event) override { monitor_.skipped(event); }

  TrainStep last;

 private:
  TrainMonitor& monitor_;
};

}  // namespace

const DataDescription* PreparedTraining::description() const {
  const auto* images = std::get_if<std::shared_ptr<const Dataset>>(&data);
  return images != nullptr ? &(*images)->description() : nullptr;
}

/// How long processes wait for one another at the start: schedulers start them within minutes.
constexpr double kPatience = 300;

/// What the run in a folder was started with; 0: one process.
std::int64_t shards_of_run(const fs::path& folder) {
  const fs::path config = RunFolder(folder).config();
  std::error_code none;
  if (!fs::exists(config, none)) return 0;
  return read_recipe(read_toml(config), config.string()).dist.shards;
}

/// Chooses dist.shards if the recipe does not, and fits the microbatch to it.
void divide_batch(Recipe& recipe, int ranks, const std::string& where) {
  std::int64_t& shards = recipe.dist.shards;
  const std::int64_t batch = recipe.train.batch,
                     least = static_cast<std::int64_t>(std::bit_ceil(static_cast<unsigned>(ranks)));
  if (shards == 0 && ranks > 1) {
    shards = std::max<std::int64_t>(8, least);
    while (shards > least && batch % shards != 0) shards /= 2;
  }
  const std::int64_t most = recipe.dist.shards_or_one();
  DIFFIT_CHECK(
      ranks <= most,
      "{}: dist.shards = {} allows at most {} processes, got {}; a run keeps the dist.shards that it "
      "started with",
      where, shards, most, ranks);
  DIFFIT_CHECK(batch % most == 0, "{}: dist.shards {} does not divide train.batch {}", where, most, batch);
  recipe.train.microbatch = std::min(recipe.train.microbatch, batch / most);
  DIFFIT_CHECK(batch / most % recipe.train.microbatch == 0,
               "{}: train.microbatch {} does not divide the {} images of a shard (train.batch / dist.shards)",
               where, recipe.train.microbatch, batch / most);
}

/// Meets the other processes, if there are any.
std::shared_ptr<dist::Group> join_group(const Recipe& recipe) {
  const auto whole = [](double seconds) {
    return std::chrono::seconds(std::llround(std::max(1.0, seconds)));
  };
  return dist::Group::open(dist::place_from_environment(), whole(std::min(kPatience, recipe.dist.timeout)),
                           whole(recipe.dist.timeout));
}

PreparedTraining prepare_training(const TrainSpec& spec, const RuntimeOptions& options, bool will_write,
                                  Monitor& outer) {
  PreparedTraining p;
  p.folder = spec.out.empty() ? fs::path("runs") / fs::path(spec.config).stem() : fs::path(spec.out);
  if (will_write) check_output_folder(p.folder, "`out`");
  const fs::path path = preset_path(spec.config);
  p.where = path.string();
  p.recipe = read_recipe_of(spec, path);
  DIFFIT_CHECK(p.recipe.train.images > 0 || p.recipe.train.epochs > 0,
               "{}: train.images: set the length of the training in train.images or train.epochs; both are 0",
               p.where);
  if (p.recipe.dist.shards == 0 && spec.resume) p.recipe.dist.shards = shards_of_run(p.folder);
  if (spec.join) p.group = join_group(p.recipe);
  divide_batch(p.recipe, p.group->size(), p.where);
  CancelOnly silent(outer);
  Monitor& monitor = p.group->leads() ? outer : silent;
  RuntimeOptions chosen = options;
  if (chosen.dtype == "auto") chosen.dtype = p.recipe.train.dtype;
  p.runtime = open_runtime(chosen, /*prefer_bf16=*/true, monitor);
  p.recipe.train.dtype = p.runtime.dtype == at::kFloat ? "f32" : "bf16";
  refuse_unfinished(p.recipe.data.path, "data.path");
  p.data = open_training_data(p.recipe, p.where);
  if (spec.strict && p.description() != nullptr) refuse_warnings(*p.description());
  resolve(p.recipe, p.data, p.where);
  return p;
}

/// There is room for the first files that will be written, a snapshot and a checkpoint.
void check_space(const TrainSpec& spec, const PreparedTraining& p, const TrainingPlan& plan) {
  std::error_code none;
  const bool nothing_left =
      spec.resume && fs::exists(RunFolder(p.folder).snapshot(p.recipe.train.images, "ema"), none);
  if (nothing_left) return;
  check_output_folder(p.folder, "`out`", static_cast<std::uint64_t>(plan.snapshot_bytes + plan.state_bytes));
}

TrainResult run_prepared(const TrainSpec& spec, const PreparedTraining& p, TrainMonitor& outer) {
  CancelOnly silent(outer);
  TrainMonitor& monitor = p.group->leads() ? outer : silent;
  std::optional<TrainEvaluation> evaluation;
  if (p.recipe.train.eval_images > 0) evaluation.emplace(p.recipe, p.data, p.where, p.runtime, monitor);
  TrainingRequest request{p.recipe, p.data, p.folder, spec.resume, p.runtime.device, p.runtime.dtype};
  if (evaluation) request.evaluate = [&](const Exhibit& averaged) { return (*evaluation)(averaged); };
  request.group = p.group;
  request.preamble = spec.preamble;
  request.preamble.push_back("machine: " + describe_runtime(p.runtime));
  if (p.group->size() > 1)
    request.preamble.push_back(
        fmt::format("processes: {}, over {} shards of a batch", p.group->size(), p.recipe.dist.shards));
  if (const DataDescription* description = p.description(); description != nullptr) {
    request.preamble.push_back("data: " + description->kind);
    for (const std::string& text : split(description_text(*description), '\n')) {
      if (!text.empty()) request.preamble.push_back("data: " + text);
    }
    for (const std::string& warning : description->warnings) monitor.warning(warning);
  }
  const DataSummary data = summary(p.data);
  const TrainingPlan plan = plan_training(p.recipe, data.resolution, 4);
  if (p.group->leads()) check_space(spec, p, plan);
  monitor.note(fmt::format("{} parameters, data set of {} images, {} training images to {}",
                           human_count(static_cast<double>(plan.network.parameters)), data.images,
                           p.recipe.train.images, p.folder.string()));
  LastStep steps(monitor);
  const TrainingEnd end = run_training(request, steps);
  if (end == TrainingEnd::interrupted) {
    throw Error(ErrorKind::cancelled,
                fmt::format("interrupted at {} images; a checkpoint is saved, continue with `resume`",
                            steps.last.images));
  }
  TrainResult result;
  result.folder = p.folder.string();
  result.images = steps.last.images;
  result.nothing_left = end == TrainingEnd::nothing_left;
  if (result.nothing_left) result.images = p.recipe.train.images;
  result.loss = steps.last.loss;
  result.images_per_second = steps.last.images_per_second;
  result.skipped = steps.last.skipped;
  const fs::path model = RunFolder(p.folder).snapshot(result.images, "ema");
  std::error_code none;
  if (fs::exists(model, none)) result.model = model.string();
  return result;
}

}  // namespace diffit::jobs

namespace diffit {

TrainResult train(const TrainSpec& spec, const RuntimeOptions& runtime, TrainMonitor& monitor) {
  return jobs::guarded([&] {
    const jobs::PreparedTraining prepared =
        jobs::prepare_training(spec, runtime, /*will_write=*/true, monitor);
    return jobs::run_prepared(spec, prepared, monitor);
  });
}

TrainResult train(const TrainSpec& spec, const RuntimeOptions& runtime) {
  return train(spec, runtime, jobs::no_monitor());
}

}  // namespace diffit

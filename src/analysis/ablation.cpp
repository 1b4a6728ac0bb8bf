#include "analysis/ablation.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/lock.h"
#include "config/json_text.h"

namespace diffit::analysis {

namespace {

Recipe with_seed(const Recipe& recipe, std::int64_t seed) {
  Recipe seeded = recipe;
  seeded.train.seed = seed;
  return seeded;
}

/// Refuses a folder whose training is another than this one, but for its length.
void check_same_training(const RunFolder& folder, const Recipe& recipe) {
  std::error_code none;
  if (!fs::exists(folder.config(), none)) return;
  const std::string where = folder.config().string();
  const Json now = write_recipe(recipe);
  const Json then = write_recipe(read_recipe(parse_toml(read_text(folder.config(), 1 << 20), where), where));
  for (const auto* side : {&now, &then}) {
    for (const auto& [section, fields] : side->items()) {
      for (const auto& [key, value] : fields.items()) {
        const std::string name = section + "." + key;
        const auto value_in = [&, s = section, k = key](const Json& recipe_json) {
          return recipe_json[s].contains(k) ? json_text(recipe_json[s][k]) : std::string("(none)");
        };
        DIFFIT_CHECK(may_change_on_resume(name) || value_in(now) == value_in(then),
                     "{}: was trained with {} = {}, but the experiment now has {}; give another `out`, or "
                     "rename the variant",
                     where, name, value_in(then), value_in(now));
      }
    }
  }
}

/// Images of the snapshots of a training that are scored, and how many images of each.
WantedScores wanted_scores(const Recipe& recipe, const ScoreSection& score) {
  WantedScores wanted;
  const std::int64_t every = recipe.train.snapshot_images, all = recipe.train.images;
  for (std::int64_t images = every; every > 0 && score.curve_samples > 0 && images < all; images += every) {
    wanted.emplace_back(images, score.curve_samples);
  }
  wanted.emplace_back(all, score.samples);
  return wanted;
}

/// The steps of one trial, for the monitor of the experiment.
class TrialMonitor : public TrainMonitor {
 public:
  TrialMonitor(AblateMonitor& monitor, const std::string& trial) : monitor_(monitor), trial_(trial) {}
  void step(const TrainStep& status) override { monitor_.trained(trial_, status); }
  void evaluated(const EvaluationEvent& event) override { monitor_.evaluated(trial_, event); }
  void progress(const Progress& p) override { monitor_.progress(p); }
  void warning(const std::string& text) override { monitor_.warning(trial_ + ": " + text); }
  bool cancelled() override { return monitor_.cancelled(); }

 private:
  AblateMonitor& monitor_;
  const std::string& trial_;
};

class Runner {
 public:
  Runner(const AblationRequest& request, AblateMonitor& monitor)
      : request_(request), monitor_(monitor), plan_(request.plan), elsewhere_(request.from) {}

  AblationEnd operator()() {
    const auto& seeds = plan_.experiment.seeds;
    AblationEnd end;
    end.all = static_cast<std::int64_t>(seeds.size() * plan_.variants.size());
    for (const PlannedVariant& variant : plan_.variants) {
      for (const std::int64_t seed : seeds) {
        check_same_training(trial_folder(request_.folder, variant, seed), with_seed(variant.recipe, seed));
      }
    }
    std::int64_t begun = 0;
    bool warned = false;
    make(request_.folder / "locks");
    make(request_.folder / "runs");
    for (const std::int64_t seed : seeds) {
      for (const PlannedVariant& variant : plan_.variants) {
        place_ = fmt::format("[{}/{}]", ++begun, end.all);
        const FileLock lock(request_.folder / "locks" / trial_name(variant, seed));
        if (!lock.warning().empty() && !std::exchange(warned, true)) monitor_.warning(lock.warning());
        if (lock.busy()) {
          ++end.elsewhere;
          continue;
        }
        if (!run_until_cancelled(variant, seed)) {
          end.interrupted = true;
          return end;
        }
        ++end.done;
      }
    }
    return end;
  }

 private:
  static void make(const fs::path& folder) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) fail("{}: cannot be made: {}", folder.string(), error.message());
  }
  bool stopped() const { return monitor_.cancelled(); }
  void say(const std::string& text) const { monitor_.note(text); }

  /// False where it was interrupted.
  bool run_until_cancelled(const PlannedVariant& variant, std::int64_t seed) {
    try {
      return run(variant, seed);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::cancelled) throw;
      return false;
    }
  }

  bool run(const PlannedVariant& variant, std::int64_t seed) {
    const RunFolder folder = trial_folder(request_.folder, variant, seed);
    const Recipe recipe = with_seed(variant.recipe, seed);
    const std::string name = place_ + " " + trial_name(variant, seed);
    const ScoreSection& section = plan_.experiment.score;
    const WantedScores wanted = wanted_scores(recipe, section);
    const std::string identity =
        request_.features != nullptr ? request_.features->info().identity : std::string();
    bool news = take_over(folder, recipe, wanted, name);
    std::vector<Score> scores = kept_scores(folder, identity, section.steps);
    if (!all_there(scores, wanted)) {  // all are there in a record, which has no weights
      std::error_code none;
      if (!fs::exists(snapshot(folder, recipe.train.images), none)) {
        news = true;
        if (!train(folder, recipe, name)) return false;
      }
      if (request_.features != nullptr && score(folder, wanted, name, scores)) news = true;
    }
    if (news) monitor_.finished();
    return true;
  }

  /// Whether a trial that nobody has begun here was finished elsewhere.
  bool take_over(const RunFolder& folder, const Recipe& recipe, const WantedScores& wanted,
                 const std::string& name) const {
    if (folder.used() || request_.features == nullptr) return false;
    const std::optional<TrialFiles> found =
        elsewhere_.find(recipe, wanted, request_.features->info().identity, plan_.experiment.score.steps);
    if (!found) return false;
    write_record(*found, recipe, folder);
    say(fmt::format("{}: reused from {}", name, found->describe()));
    return true;
  }

  static fs::path snapshot(const RunFolder& folder, std::int64_t images) {
    return folder.snapshot(images, "ema");
  }

  bool train(const RunFolder& folder, const Recipe& recipe, const std::string& name) {
    if (stopped()) return false;
    say(fmt::format("{}: training{}", name, folder.used() ? ", from its last checkpoint" : ""));
    TrainingRequest training{recipe,          plan_.data,      folder.path(),
                             /*resume=*/true, request_.device, request_.dtype};
    if (recipe.train.eval_images > 0 && request_.evaluation) {
      training.evaluate = request_.evaluation(recipe, plan_.data);
    }
    TrialMonitor monitor(monitor_, name);
    return run_training(training, monitor) != TrainingEnd::interrupted;
  }

  /// Scores what of `wanted` is not among `scores`; whether there was any.
  bool score(const RunFolder& folder, const WantedScores& wanted, const std::string& name,
             std::vector<Score>& scores) {
    const ScoreSection& section = plan_.experiment.score;
    bool news = false;
    for (const auto& [images, samples] : wanted) {
      const bool there = std::any_of(scores.begin(), scores.end(), [&](const Score& s) {
        return s.images == images && s.samples == samples;
      });
      std::error_code none;
      if (there || !fs::exists(snapshot(folder, images), none)) continue;
      Score found = score_model({.model = snapshot(folder, images),
                                 .samples = samples,
                                 .steps = section.steps,
                                 .batch = section.batch,
                                 .device = request_.device,
                                 .dtype = request_.dtype},
                                *request_.features, reference(), [&](std::int64_t done, std::int64_t all) {
                                  if (stopped()) throw Error(ErrorKind::cancelled, "interrupted");
                                  monitor_.scored(name, {done, all, "images"});
                                });
      found.images = images;
      std::erase_if(scores, [&](const Score& s) { return s.images == images; });
      scores.push_back(found);
      keep(folder, scores);
      news = true;
      say(fmt::format("{}: {} {:.4g} [{:.4g}, {:.4g}] after {} training images, from {} samples", name,
                      request_.features->info().frechet_label(), found.value, found.low, found.high, images,
                      samples));
    }
    return news;
  }

  void keep(const RunFolder& folder, std::vector<Score>& scores) const {
    std::sort(scores.begin(), scores.end(),
              [](const Score& a, const Score& b) { return a.images < b.images; });
    const FeatureInfo& info = request_.features->info();
    Json object = {
        {"features", {{"name", info.name}, {"identity", info.identity}, {"label", info.frechet_label()}}},
        {"steps", plan_.experiment.score.steps},
        {"scores", Json::array()}};
    for (const Score& s : scores) object["scores"].push_back(to_json(s));
    write_file(scores_path(folder), json_text(object, 1) + "\n");
  }

  const Gaussian& reference() {
    if (reference_.width() == 0) {
      const auto* data = std::get_if<std::shared_ptr<const Dataset>>(&plan_.data);
      reference_ = kept_features_of(**data, *request_.features, request_.folder,
                                    [&](std::int64_t done, std::int64_t all) {
                                      if (stopped()) throw Error(ErrorKind::cancelled, "interrupted");
                                      monitor_.scored("features of the data", {done, all, "images"});
                                    });
    }
    return reference_;
  }

  const AblationRequest& request_;
  AblateMonitor& monitor_;
  const Plan& plan_;
  FinishedTrials elsewhere_;
  std::string place_;  // of the trial among all, for those who watch
  Gaussian reference_;
};

}  // namespace

std::string trial_name(const PlannedVariant& variant, std::int64_t seed) {
  return fmt::format("{}-seed{}", variant.section.name, seed);
}

RunFolder trial_folder(const fs::path& folder, const PlannedVariant& variant, std::int64_t seed) {
  return RunFolder(folder / "runs" / trial_name(variant, seed));
}

AblationEnd run_ablation(const AblationRequest& request, AblateMonitor& monitor) {
  return Runner(request, monitor)();
}

double seconds_per_image(const PlannedVariant& variant, const TrainingData& data, at::Device device,
                         at::ScalarType dtype) {
  using Clock = std::chrono::steady_clock;
  Trainer trainer(variant.recipe, data, device, dtype);
  trainer.step();
  constexpr int kSteps = 3;
  const auto start = Clock::now();
  for (int i = 0; i < kSteps; ++i) trainer.step();
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return seconds / static_cast<double>(kSteps * variant.recipe.train.batch);
}

}  // namespace diffit::analysis

// Trainings that an experiment need not do again: records of finished ones, kept without their weights.
#pragma once

#include <optional>
#include <vector>

#include "analysis/trial_files.h"
#include "analysis/trial_score.h"
#include "train/recipe.h"
#include "train/run_folder.h"

namespace diffit::analysis {

/// What is scored of a training: (images, images) of each, the last at its end.
using WantedScores = std::vector<std::pair<std::int64_t, std::int64_t>>;

/// The file of a trial's scores.
fs::path scores_path(const RunFolder& trial);
/// Scores of a trial that were made with this network and these steps, by images; empty where there are none.
/// An empty identity: of any network.
std::vector<Score> kept_scores(const TrialFiles& trial, const std::string& identity, std::int64_t steps);
/// Whether all that is wanted is among them.
bool all_there(const std::vector<Score>& scores, const WantedScores& wanted);

/// Finished trials of other folders and of zips, under whatever names.
class FinishedTrials {
 public:
  /// Reads the config.toml of each training in an experiment's folder, a record or a zip (trial_files.h).
  /// Error(invalid) where one of the paths has none.
  explicit FinishedTrials(const std::vector<fs::path>& paths);

  /// One that was trained as `recipe` says, from data of the same file name, and has all the scores; of
  /// several the first by path.
  std::optional<TrialFiles> find(const Recipe& recipe, const WantedScores& wanted,
                                 const std::string& identity, std::int64_t steps) const;

 private:
  std::vector<std::pair<TrialFiles, nlohmann::json>> trials_;  // and their recipes, as compared
};

/// Writes the record of a trial: its recipe, losses, scores and last grid of images. `from` and `to` may
/// not be one folder.
void write_record(const TrialFiles& from, const Recipe& recipe, const RunFolder& to);

}  // namespace diffit::analysis

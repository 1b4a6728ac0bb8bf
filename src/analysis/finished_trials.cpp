#include "analysis/finished_trials.h"

#include <algorithm>

#include "base/error.h"

namespace diffit::analysis {

namespace {

constexpr const char* kConfig = "config.toml";
constexpr const char* kScores = "scores.json";

/// What makes two trainings one, in the order of the keys: all but where the data lies, how it is decoded,
/// and what people read.
nlohmann::json compared(const Recipe& recipe) {
  Json json = write_recipe(recipe);
  json.erase("published");
  json["data"]["path"] = fs::path(recipe.data.path).filename().string();
  for (const char* key : {"hint", "threads"}) json["data"].erase(key);
  json["train"].erase("keep_states");
  return json;
}

}  // namespace

fs::path scores_path(const RunFolder& trial) {
  return trial.path() / kScores;
}

std::vector<Score> kept_scores(const TrialFiles& trial, const std::string& identity, std::int64_t steps) {
  if (!trial.has(kScores)) return {};
  const std::string where = trial.where(kScores);
  const Json object = parse_json(trial.read(kScores, 1 << 24), where);
  std::vector<Score> scores;
  if (!object.is_object() || !object.contains("scores") || !object.contains("features")) return scores;
  const Json& features = object["features"];
  if (!identity.empty() && !(features.is_object() && features.value("identity", Json()) == identity))
    return scores;
  if (object.value("steps", Json(0)) != steps) return scores;
  DIFFIT_CHECK(object["scores"].is_array(), "{}: scores: wanted a list, got {}", where,
               object["scores"].type_name());
  for (const Json& score : object["scores"]) scores.push_back(score_from_json(score, where));
  return scores;
}

bool all_there(const std::vector<Score>& scores, const WantedScores& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& w) {
    return std::any_of(scores.begin(), scores.end(),
                       [&](const Score& s) { return s.images == w.first && s.samples == w.second; });
  });
}

FinishedTrials::FinishedTrials(const std::vector<fs::path>& paths) {
  for (const fs::path& path : paths) {
    const std::vector<TrialFiles> found = finished_trials_of(path);
    for (const TrialFiles& trial : found) {
      const std::string where = trial.where(kConfig);
      trials_.emplace_back(trial,
                           compared(read_recipe(parse_toml(trial.read(kConfig, 1 << 20), where), where)));
    }
    DIFFIT_CHECK(!found.empty(),
                 "`from` {}: wanted the folder or record of an experiment, with runs/*/config.toml and "
                 "scores.json, or a zip of them; found none",
                 path.string());
  }
}

std::optional<TrialFiles> FinishedTrials::find(const Recipe& recipe, const WantedScores& wanted,
                                               const std::string& identity, std::int64_t steps) const {
  const nlohmann::json wanted_recipe = compared(recipe);
  for (const auto& [trial, its_recipe] : trials_) {
    if (its_recipe == wanted_recipe && all_there(kept_scores(trial, identity, steps), wanted)) return trial;
  }
  return {};
}

void write_record(const TrialFiles& from, const Recipe& recipe, const RunFolder& to) {
  std::error_code error;
  fs::create_directories(to.path(), error);
  if (error) fail("{}: cannot be made: {}", to.path().string(), error.message());
  write_file(to.stats(), from.read(to.stats().filename().string(), 1 << 28));
  write_file(to.config(), format_toml(write_recipe(recipe)));
  const fs::path grid = to.samples(recipe.train.images);
  if (from.has(grid.filename().string())) write_file(grid, from.read(grid.filename().string(), 1 << 26));
  // Last: a record counts as finished by its scores.
  write_file(scores_path(to), from.read(kScores, 1 << 24));
}

}  // namespace diffit::analysis

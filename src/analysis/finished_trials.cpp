#include "analysis/finished_trials.h"

#include <algorithm>

#include "base/error.h"

namespace diffit::analysis {

namespace {

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
  return trial.path() / "scores.json";
}

std::vector<Score> kept_scores(const RunFolder& trial, const std::string& identity, std::int64_t steps) {
  std::error_code none;
  if (!fs::exists(scores_path(trial), none)) return {};
  const std::string where = scores_path(trial).string();
  const Json object = parse_json(read_text(scores_path(trial), 1 << 24), where);
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

FinishedTrials::FinishedTrials(const std::vector<fs::path>& folders) {
  for (const fs::path& folder : folders) {
    std::vector<fs::path> found;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(folder / "runs", none)) found.push_back(entry.path());
    std::sort(found.begin(), found.end());
    const std::size_t before = trials_.size();
    for (const fs::path& path : found) {
      const RunFolder trial(path);
      if (!fs::exists(trial.config(), none) || !fs::exists(scores_path(trial), none)) continue;
      const std::string where = trial.config().string();
      trials_.emplace_back(
          trial, compared(read_recipe(parse_toml(read_text(trial.config(), 1 << 20), where), where)));
    }
    DIFFIT_CHECK(trials_.size() > before,
                 "`from` {}: wanted the folder or record of an experiment, with runs/*/config.toml and "
                 "scores.json; found none",
                 folder.string());
  }
}

std::optional<RunFolder> FinishedTrials::find(const Recipe& recipe, const WantedScores& wanted,
                                              const std::string& identity, std::int64_t steps) const {
  const nlohmann::json wanted_recipe = compared(recipe);
  for (const auto& [trial, its_recipe] : trials_) {
    if (its_recipe == wanted_recipe && all_there(kept_scores(trial, identity, steps), wanted)) return trial;
  }
  return {};
}

void write_record(const RunFolder& from, const Recipe& recipe, const RunFolder& to) {
  std::error_code error;
  fs::create_directories(to.path(), error);
  if (error) fail("{}: cannot be made: {}", to.path().string(), error.message());
  write_file(to.stats(), read_text(from.stats(), 1 << 28));
  write_file(to.config(), format_toml(write_recipe(recipe)));
  const std::int64_t images = recipe.train.images;
  if (fs::exists(from.samples(images), error))
    write_file(to.samples(images), read_text(from.samples(images), 1 << 26));
  // Last: a record counts as finished by its scores.
  write_file(scores_path(to), read_text(scores_path(from), 1 << 24));
}

}  // namespace diffit::analysis

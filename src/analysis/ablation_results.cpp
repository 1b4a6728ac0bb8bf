#include "analysis/ablation_results.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <sstream>

#include "base/error.h"

namespace diffit::analysis {

namespace {

/// 97.5% points of Student's t with 1, 2, ... degrees of freedom.
double student_t(std::int64_t freedom) {
  static constexpr std::array kTable{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
                                     2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086};
  const auto i = static_cast<std::size_t>(freedom - 1);
  // Beyond the table: Cornish and Fisher's expansion to first order, good to 0.002.
  return i < kTable.size() ? kTable[i] : 1.960 + 2.372 / static_cast<double>(freedom);
}

void read_stats(const fs::path& path, std::int64_t all, TrialResult& trial) {
  std::error_code none;
  if (!fs::exists(path, none)) return;
  std::istringstream lines(read_text(path, 1 << 28));
  double late = 0;
  std::int64_t counted = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    Json row;
    try {
      row = parse_json(line, path.string());
    } catch (const Error&) {
      break;  // the line that a killed process was writing
    }
    const auto number = [&row](const char* key) {
      return row.contains(key) && row[key].is_number() ? row[key].get<double>() : 0.0;
    };
    if (!row.is_object()) break;
    const double images = number("images"), loss = number("loss");
    trial.loss.emplace_back(images, loss);
    trial.images = static_cast<std::int64_t>(images);
    trial.images_per_second = std::max(trial.images_per_second, number("images_per_second"));
    trial.memory_bytes = std::max(trial.memory_bytes, number("memory_bytes"));
    trial.seconds = number("seconds");
    if (images > 0.8 * static_cast<double>(all)) late += loss, ++counted;
  }
  if (counted > 0 && trial.images >= all) trial.late_loss = late / static_cast<double>(counted);
}

TrialResult read_trial(const PlannedVariant& planned, std::int64_t seed, const Experiment& experiment,
                       const fs::path& folder, const FeatureInfo* features) {
  TrialResult trial;
  trial.seed = seed;
  const RunFolder run = trial_folder(folder, planned, seed);
  const std::int64_t all = planned.recipe.train.images;
  read_stats(run.stats(), all, trial);
  if (features != nullptr) trial.scores = kept_scores(run, features->identity, experiment.score.steps);
  std::error_code none;
  if (const fs::path grid = run.samples(all); fs::exists(grid, none)) trial.samples = grid;
  const bool trained = fs::exists(run.snapshot(all, "ema"), none);
  const bool scored = !trial.scores.empty() && trial.scores.back().images == all &&
                      trial.scores.back().samples == experiment.score.samples;
  // A longer training's score is no score of this budget.
  if (!scored && !trial.scores.empty())
    std::erase_if(trial.scores, [&](const Score& s) { return s.images >= all; });
  trial.finished = scored || (features == nullptr && trained);
  return trial;
}

template <class Value>
std::optional<SeedMean> mean_of(const std::vector<TrialResult>& trials, const Value& value) {
  std::vector<double> values;
  for (const TrialResult& trial : trials) {
    if (const std::optional<double> v = value(trial)) values.push_back(*v);
  }
  if (values.empty()) return {};
  return mean_over_seeds(values);
}

/// Over the seeds that both have.
template <class Value>
std::optional<SeedMean> difference(const VariantResult& variant, const VariantResult& reference,
                                   const Value& value) {
  std::vector<double> values;
  for (std::size_t i = 0; i < variant.trials.size(); ++i) {
    const std::optional<double> ours = value(variant.trials[i]), theirs = value(reference.trials[i]);
    if (ours && theirs) values.push_back(*ours - *theirs);
  }
  if (values.empty()) return {};
  return mean_over_seeds(values);
}

Verdict verdict_of(const VariantResult& variant, const VariantResult& reference) {
  const auto& d = variant.score_difference;
  const double published = variant.section.published - reference.section.published;
  if (!d || !d->low || variant.section.published == 0 || reference.section.published == 0 || published == 0) {
    return Verdict::open;
  }
  if (*d->low <= 0 && *d->high >= 0) return Verdict::noise;
  return (d->mean > 0) == (published > 0) ? Verdict::confirmed : Verdict::refuted;
}

double mean_positive(const std::vector<TrialResult>& trials, double TrialResult::*member) {
  double sum = 0;
  int count = 0;
  for (const TrialResult& trial : trials) {
    if (trial.*member > 0) sum += trial.*member, ++count;
  }
  return count > 0 ? sum / count : 0;
}

Json to_json(const std::optional<SeedMean>& m) {
  if (!m) return nullptr;
  Json object = {{"mean", m->mean}, {"seeds", m->seeds}};
  object["low"] = m->low ? Json(*m->low) : Json();
  object["high"] = m->high ? Json(*m->high) : Json();
  return object;
}

}  // namespace

std::optional<double> TrialResult::final_score() const {
  if (!finished || scores.empty()) return {};
  return scores.back().value;
}

SeedMean mean_over_seeds(const std::vector<double>& values) {
  SeedMean m;
  m.seeds = static_cast<std::int64_t>(values.size());
  m.mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(m.seeds);
  if (m.seeds < 2) return m;
  double squares = 0;
  for (const double v : values) squares += (v - m.mean) * (v - m.mean);
  const double error = std::sqrt(squares / static_cast<double>((m.seeds - 1) * m.seeds));
  m.low = m.mean - student_t(m.seeds - 1) * error;
  m.high = m.mean + student_t(m.seeds - 1) * error;
  return m;
}

std::string to_text(Verdict verdict) {
  switch (verdict) {
    case Verdict::open:
      return "open";
    case Verdict::confirmed:
      return "confirmed";
    case Verdict::refuted:
      return "refuted";
    case Verdict::noise:
      return "within the noise";
  }
  return "";
}

AblationResults collect(const Plan& plan, const fs::path& folder, const FeatureInfo* features) {
  AblationResults results;
  results.experiment = plan.experiment;
  if (features != nullptr) results.score_label = features->frechet_label();
  const auto final_score = [](const TrialResult& t) { return t.final_score(); };
  const auto late_loss = [](const TrialResult& t) { return t.late_loss; };
  for (const PlannedVariant& planned : plan.variants) {
    VariantResult& v = results.variants.emplace_back();
    v.section = planned.section;
    for (const std::int64_t seed : plan.experiment.seeds) {
      v.trials.push_back(read_trial(planned, seed, plan.experiment, folder, features));
      results.finished += v.trials.back().finished ? 1 : 0;
      ++results.trials;
    }
    v.parameters = planned.cost.parameters;
    v.macs = planned.cost.layer_macs + planned.cost.attention_macs;
    v.parameters_ratio = planned.parameters_ratio;
    v.flops_ratio = planned.flops_ratio;
    v.images = planned.recipe.train.images;
    v.flops = planned.flops_per_image * static_cast<double>(v.images);
    v.score = mean_of(v.trials, final_score);
    v.late_loss = mean_of(v.trials, late_loss);
    v.images_per_second = mean_positive(v.trials, &TrialResult::images_per_second);
    v.memory_bytes = mean_positive(v.trials, &TrialResult::memory_bytes);
  }
  const VariantResult reference = results.variants[plan.experiment.reference_index()];
  for (VariantResult& v : results.variants) {
    if (v.section.name == reference.section.name) continue;
    v.score_difference = difference(v, reference, final_score);
    v.loss_difference = difference(v, reference, late_loss);
    v.verdict = verdict_of(v, reference);
  }
  return results;
}

Json to_json(const AblationResults& results) {
  Json object = {{"experiment", write_experiment(results.experiment)},
                 {"score", results.score_label.empty() ? Json() : Json(results.score_label)},
                 {"finished", results.finished},
                 {"trials", results.trials},
                 {"variants", Json::array()}};
  for (const VariantResult& v : results.variants) {
    Json row = {{"name", v.section.name},
                {"row", v.section.row},
                {"published", v.section.published > 0 ? Json(v.section.published) : Json()},
                {"parameters", v.parameters},
                {"macs", v.macs},
                {"parameters_ratio", v.parameters_ratio},
                {"flops_ratio", v.flops_ratio},
                {"images", v.images},
                {"flops", v.flops},
                {"score", to_json(v.score)},
                {"late_loss", to_json(v.late_loss)},
                {"score_difference", to_json(v.score_difference)},
                {"loss_difference", to_json(v.loss_difference)},
                {"verdict", to_text(v.verdict)},
                {"images_per_second", v.images_per_second},
                {"memory_bytes", v.memory_bytes},
                {"trials", Json::array()}};
    for (const TrialResult& t : v.trials) {
      Json trial = {{"seed", t.seed},
                    {"images", t.images},
                    {"finished", t.finished},
                    {"seconds", t.seconds},
                    {"images_per_second", t.images_per_second},
                    {"memory_bytes", t.memory_bytes},
                    {"late_loss", t.late_loss ? Json(*t.late_loss) : Json()},
                    {"loss", Json::array()},
                    {"scores", Json::array()}};
      for (const auto& [images, loss] : t.loss) trial["loss"].push_back({images, loss});
      for (const Score& s : t.scores) trial["scores"].push_back(to_json(s));
      row["trials"].push_back(trial);
    }
    object["variants"].push_back(row);
  }
  return object;
}

}  // namespace diffit::analysis

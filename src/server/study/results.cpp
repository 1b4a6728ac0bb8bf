#include "server/study/results.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/random.h"

namespace diffit::server {

namespace {

const char* name_of(TrialKind kind) {
  return kind == TrialKind::pair ? "pair" : kind == TrialKind::repeat ? "repeat" : "catch";
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

Json share_json(const Share& share) {
  return {{"count", share.count},
          {"of", share.of},
          {"share", share.of > 0 ? Json(share.value) : Json()},
          {"low", share.low},
          {"high", share.high}};
}

/// Counts that become shares.
struct Count {
  std::int64_t yes = 0, all = 0;
  void add(bool is) {
    yes += is ? 1 : 0;
    ++all;
  }
  void add(const Share& share) {
    yes += share.count;
    all += share.of;
  }
  Share share() const { return wilson(yes, all); }
};

/// The answers of one rater, beside what was asked.
struct Rated {
  std::vector<Trial> trials;
  std::vector<std::optional<int>> sides;
  std::vector<double> seconds;
};

RaterResult result_of(const StudyPlan& plan, std::int64_t rater, const Rated& rated) {
  RaterResult result{.rater = rater};
  Count catches, repeats, left;
  for (std::size_t t = 0; t < rated.trials.size(); ++t) {
    if (!rated.sides[t]) continue;
    ++result.answered;
    const Trial& trial = rated.trials[t];
    const int side = *rated.sides[t];
    if (trial.kind == TrialKind::shuffled) catches.add(side != trial.shuffled);
    if (trial.kind == TrialKind::pair) left.add(side == 0);
    if (trial.kind != TrialKind::repeat) continue;
    const std::optional<int>& first = rated.sides[static_cast<std::size_t>(trial.repeats)];
    if (first) repeats.add(*first != side);  // sides are exchanged
  }
  result.catches = catches.share();
  result.repeats = repeats.share();
  result.left = left.share();
  result.median_seconds = median(rated.seconds);
  result.counted = result.answered == plan.trials_of_rater() &&
                   (plan.catches == 0 || result.catches.value >= plan.catch_needed);
  return result;
}

}  // namespace

StudyResults study_results(const StudyPlan& plan, const std::vector<Answer>& answers) {
  std::map<std::int64_t, Rated> raters;
  for (const Answer& answer : answers) {
    if (answer.rater < 0 || answer.rater >= plan.raters()) continue;
    Rated& rated = raters[answer.rater];
    if (rated.trials.empty()) {
      rated.trials = plan.trials_for(answer.rater);
      rated.sides.resize(rated.trials.size());
    }
    if (answer.trial < 0 || answer.trial >= std::ssize(rated.trials)) continue;
    rated.sides[static_cast<std::size_t>(answer.trial)] = answer.side;
    rated.seconds.push_back(answer.seconds);
  }
  StudyResults results;
  results.planned = plan.raters();
  const std::size_t sets = plan.sets.size();
  std::vector<Wins> wins;
  Count catches, repeats, left;
  std::int64_t finished = 0;
  for (const auto& [rater, rated] : raters) {
    const RaterResult result = result_of(plan, rater, rated);
    results.raters.push_back(result);
    finished += result.answered == plan.trials_of_rater() ? 1 : 0;
    if (!result.counted) continue;
    ++results.counted;
    catches.add(result.catches);
    repeats.add(result.repeats);
    left.add(result.left);
    Wins& own = wins.emplace_back(sets, std::vector<double>(sets, 0.0));
    for (std::size_t t = 0; t < rated.trials.size(); ++t) {
      const Trial& trial = rated.trials[t];
      if (trial.kind != TrialKind::pair) continue;
      const int side = *rated.sides[t];
      own[static_cast<std::size_t>(trial.set[side])][static_cast<std::size_t>(trial.set[1 - side])] += 1;
    }
  }
  results.complete = finished == plan.raters();
  results.catches = catches.share();
  results.repeats = repeats.share();
  results.left = left.share();
  for (std::size_t a = 0; a < sets; ++a) {
    for (std::size_t b = a + 1; b < sets; ++b) {
      double first = 0, second = 0;
      for (const Wins& own : wins) {
        first += own[a][b];
        second += own[b][a];
      }
      results.pairs.push_back({a, b, wilson(std::llround(first), std::llround(first + second))});
    }
  }
  try {
    results.strengths = bradley_terry(wins);
  } catch (const Error& error) {
    results.why_no_strengths = error.what();
  }
  return results;
}

std::vector<Agreement> agreement(const StudyResults& results, const std::map<std::size_t, double>& scores) {
  std::vector<Agreement> all;
  for (const PairResult& pair : results.pairs) {
    const auto a = scores.find(pair.first), b = scores.find(pair.second);
    if (a == scores.end() || b == scores.end() || pair.preferred.of == 0) continue;
    Agreement& entry = all.emplace_back(Agreement{pair.first, pair.second});
    entry.agrees = (pair.preferred.value > 0.5) == (a->second < b->second);
    entry.decided = pair.preferred.low > 0.5 || pair.preferred.high < 0.5;
  }
  return all;
}

Json to_json(const StudyPlan& plan, const StudyResults& results,
             const std::map<std::size_t, double>& scores) {
  Json pairs = Json::array(), strengths = Json::array(), raters = Json::array(), agreements = Json::array();
  for (const PairResult& pair : results.pairs) {
    Json& entry = pairs.emplace_back(share_json(pair.preferred));
    entry["first"] = plan.sets[pair.first];
    entry["second"] = plan.sets[pair.second];
  }
  for (std::size_t i = 0; i < results.strengths.size(); ++i) {
    const Strength& s = results.strengths[i];
    strengths.push_back({{"set", plan.sets[i]}, {"strength", s.value}, {"low", s.low}, {"high", s.high}});
  }
  for (const RaterResult& rater : results.raters) {
    raters.push_back({{"rater", rater.rater},
                      {"answered", rater.answered},
                      {"counted", rater.counted},
                      {"catches", share_json(rater.catches)},
                      {"repeats", share_json(rater.repeats)},
                      {"left", share_json(rater.left)},
                      {"median_seconds", rater.median_seconds}});
  }
  for (const Agreement& entry : agreement(results, scores)) {
    agreements.push_back({{"first", plan.sets[entry.first]},
                          {"second", plan.sets[entry.second]},
                          {"agrees", entry.agrees},
                          {"decided", entry.decided}});
  }
  Json given = Json::object();
  for (const auto& [set, score] : scores) given[plan.sets[set]] = score;
  return {{"question", plan.question},
          {"stopping_rule", plan.stopping_rule()},
          {"complete", results.complete},
          {"raters_planned", results.planned},
          {"raters_counted", results.counted},
          {"pairs", pairs},
          {"strengths", strengths},
          {"catches", share_json(results.catches)},
          {"repeats", share_json(results.repeats)},
          {"left", share_json(results.left)},
          {"raters", raters},
          {"scores", given},
          {"agreement", agreements}};
}

std::string answers_csv(const StudyPlan& plan, const std::vector<Answer>& answers) {
  std::string csv = "rater,trial,kind,left_set,left_image,right_set,right_image,chosen,seconds,time\n";
  std::int64_t rater = -1;
  std::vector<Trial> trials;
  for (const Answer& answer : answers) {
    if (answer.rater != rater) {
      rater = answer.rater;
      trials = plan.trials_for(rater);
    }
    if (answer.trial < 0 || answer.trial >= std::ssize(trials)) continue;
    const Trial& trial = trials[static_cast<std::size_t>(answer.trial)];
    const auto set = [&](int side) {
      return plan.sets[static_cast<std::size_t>(trial.set[side])] +
             (trial.shuffled == side ? " (shuffled)" : "");
    };
    csv += fmt::format("{},{},{},{},{},{},{},{},{:.3f},{:.3f}\n", answer.rater, answer.trial,
                       name_of(trial.kind), set(0), trial.image[0], set(1), trial.image[1],
                       answer.side == 0 ? "left" : "right", answer.seconds, answer.at);
  }
  return csv;
}

std::vector<Answer> simulated_answers(const StudyPlan& plan, const SimulationSpec& spec) {
  DIFFIT_CHECK(spec.strengths.size() == plan.sets.size(),
               "`strengths`: wanted {} numbers, one for each set, got {}", plan.sets.size(),
               spec.strengths.size());
  DIFFIT_CHECK(spec.lapse >= 0 && spec.lapse <= 1, "`lapse`: wanted 0 to 1, got {}", spec.lapse);
  DIFFIT_CHECK(spec.spread >= 0, "`spread`: wanted at least 0, got {}", spec.spread);
  std::vector<Answer> answers;
  for (std::int64_t rater = 0; rater < plan.raters(); ++rater) {
    Random random(spec.seed, stream_of(Purpose::bootstrap, static_cast<std::uint64_t>(rater)));
    std::vector<double> own = spec.strengths;
    for (double& strength : own) strength += spec.spread * random.normal();
    const std::vector<Trial> trials = plan.trials_for(rater);
    for (std::size_t t = 0; t < trials.size(); ++t) {
      const Trial& trial = trials[t];
      int side = 0;
      if (random.uniform() < spec.lapse) {
        side = static_cast<int>(random.below(2));
      } else if (trial.kind == TrialKind::shuffled) {
        side = trial.shuffled == 0 ? 1 : 0;
      } else {
        const double left = own[static_cast<std::size_t>(trial.set[0])],
                     right = own[static_cast<std::size_t>(trial.set[1])];
        side = random.uniform() < 1 / (1 + std::exp(right - left)) ? 0 : 1;
      }
      answers.push_back({rater, static_cast<std::int64_t>(t), side, 1, 0});
    }
  }
  return answers;
}

}  // namespace diffit::server

// What the answers of a study say.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "server/study/answers.h"
#include "server/study/bradley_terry.h"

namespace diffit::server {

struct RaterResult {
  std::int64_t rater = 0;
  std::int64_t answered = 0;
  bool counted = false;  // answered every trial, and enough catch trials right
  Share catches = {},
        repeats = {};  // answered right; answered like the first time (the same image, on the other side)
  Share left = {};     // of the pairs: the left side was chosen
  double median_seconds = 0;
};

/// Two sets: how often the first was preferred, by raters that are counted.
struct PairResult {
  std::size_t first = 0, second = 0;
  Share preferred = {};
};

struct StudyResults {
  std::vector<RaterResult> raters;  // that have answered something
  std::int64_t counted = 0, planned = 0;
  bool complete = false;  // the stopping rule is met
  std::vector<PairResult> pairs;
  std::vector<Strength> strengths;  // by set; empty if the answers do not determine them
  std::string why_no_strengths;
  Share catches, repeats, left;  // of all counted raters
};

/// Pairs and strengths are of the first answers to pairs by counted raters; repeats and catch trials measure
/// the raters only.
StudyResults study_results(const StudyPlan& plan, const std::vector<Answer>& answers);

/// A score by which sets were ranked otherwise, for example a Frechet distance: lower is better.
struct Agreement {
  std::size_t first = 0, second = 0;  // sets that both have a score
  bool agrees = false;                // raters prefer the set with the lower score
  bool decided = false;               // the interval of the raters' share excludes one half
};
std::vector<Agreement> agreement(const StudyResults& results, const std::map<std::size_t, double>& scores);

/// As a JSON object.
Json to_json(const StudyPlan& plan, const StudyResults& results, const std::map<std::size_t, double>& scores);
/// One line for each answer, with a head line: rater, trial, kind, left, right, chosen, ...
std::string answers_csv(const StudyPlan& plan, const std::vector<Answer>& answers);

/// Raters that answer at random with known preferences, to test a study before people take part.
struct SimulationSpec {
  std::vector<double> strengths;  // of each set, on the logit scale
  double lapse = 0.02;            // share of answers that are given without a look
  double spread = 0;              // standard deviation of a rater's own strengths about these
  std::uint64_t seed = 0;
};
/// Answers of every rater of a plan.
std::vector<Answer> simulated_answers(const StudyPlan& plan, const SimulationSpec& spec);

}  // namespace diffit::server

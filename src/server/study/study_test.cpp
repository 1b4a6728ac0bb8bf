// Plans of studies, statistics on known values, and simulated raters whose preferences are found again.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "base/error.h"
#include "base/test_folder.h"
#include "server/study/results.h"

namespace diffit::server {
namespace {

StudyPlan plan_of(std::int64_t sets, std::int64_t raters, std::int64_t trials, std::uint64_t seed = 0) {
  StudyPlan plan;
  for (std::int64_t i = 0; i < sets; ++i) plan.sets.push_back(fmt::format("set{}", i));
  plan.sources = plan.sets;
  plan.links.assign(static_cast<std::size_t>(raters), "x");
  plan.trials = trials;
  plan.repeats = trials / 10;
  plan.catches = 5;
  plan.images = 50;
  plan.catch_needed = 0.8;
  plan.seed = seed;
  return plan;
}

TEST(Study, WilsonsIntervalHasKnownValues) {
  // Brown, Cai and DasGupta 2001 and the formula by hand.
  EXPECT_NEAR(wilson(8, 10).low, 0.49016, 1e-5);
  EXPECT_NEAR(wilson(8, 10).high, 0.94332, 1e-5);
  EXPECT_EQ(wilson(0, 10).low, 0);
  EXPECT_NEAR(wilson(0, 10).high, 0.27753, 1e-5);
  EXPECT_NEAR(wilson(50, 100).low, 0.40383, 1e-5);
  EXPECT_EQ(wilson(10, 10).high, 1);
  EXPECT_EQ(wilson(0, 0).low, 0);
  EXPECT_EQ(wilson(0, 0).high, 1);
}

TEST(Study, StrengthsOfTwoSetsAreTheLogOdds) {
  const std::vector<Strength> s = bradley_terry({{{0, 30}, {10, 0}}});
  const double difference = std::log(30.5 / 10.5);
  EXPECT_NEAR(s[0].value - s[1].value, difference, 1e-9);
  EXPECT_NEAR(s[0].value + s[1].value, 0, 1e-9);
  // Standard error of a log-odds is sqrt(1/a + 1/b); of half of it, half of that.
  EXPECT_NEAR(s[0].high - s[0].value, 1.959964 * std::sqrt(1 / 30.5 + 1 / 10.5) / 2, 1e-6);
  // A set that always wins has a finite strength.
  EXPECT_TRUE(std::isfinite(bradley_terry({{{0, 20}, {0, 0}}})[0].value));
  EXPECT_THROW(bradley_terry({{{0, 1, 0}, {1, 0, 0}, {0, 0, 0}}}), Error);
}

TEST(Study, RatersThatDisagreeWidenTheInterval) {
  const std::vector<Wins> alike(10, {{0, 6}, {4, 0}});
  std::vector<Wins> apart;
  for (int i = 0; i < 10; ++i) apart.push_back(i < 6 ? Wins{{0, 10}, {0, 0}} : Wins{{0, 0}, {10, 0}});
  const Strength a = bradley_terry(alike)[0], b = bradley_terry(apart)[0];
  EXPECT_NEAR(a.value, b.value, 1e-9);
  EXPECT_GT(b.high - b.low, 2 * (a.high - a.low));
}

TEST(Study, TrialsAreBalancedAndAFunctionOfSeedAndRater) {
  const StudyPlan plan = plan_of(3, 12, 60);
  std::map<std::pair<std::int64_t, std::int64_t>, int> pairs;
  int left = 0, all = 0;
  std::set<std::string> orders;
  for (std::int64_t r = 0; r < plan.raters(); ++r) {
    const std::vector<Trial> trials = plan.trials_for(r), again = plan.trials_for(r);
    ASSERT_EQ(std::ssize(trials), plan.trials_of_rater());
    std::string order;
    int catches = 0, repeats = 0;
    for (std::size_t t = 0; t < trials.size(); ++t) {
      const Trial& trial = trials[t];
      EXPECT_EQ(trial.set[0], again[t].set[0]);
      EXPECT_EQ(trial.image[1], again[t].image[1]);
      order += fmt::format("{}{}", trial.set[0], trial.set[1]);
      for (const int side : {0, 1}) {
        EXPECT_GE(trial.image[side], 0);
        EXPECT_LT(trial.image[side], plan.images);
      }
      if (trial.kind == TrialKind::shuffled) {
        ++catches;
        EXPECT_EQ(trial.set[0], trial.set[1]);
        EXPECT_EQ(trial.image[0], trial.image[1]);
        EXPECT_TRUE(trial.shuffled == 0 || trial.shuffled == 1);
        continue;
      }
      EXPECT_NE(trial.set[0], trial.set[1]);
      EXPECT_EQ(trial.shuffled, -1);
      if (trial.kind == TrialKind::repeat) {
        ++repeats;
        const Trial& first = trials[static_cast<std::size_t>(trial.repeats)];
        EXPECT_EQ(first.kind, TrialKind::pair);
        EXPECT_EQ(first.set[0], trial.set[1]);
        EXPECT_EQ(first.image[0], trial.image[1]);
        continue;
      }
      ++pairs[std::minmax(trial.set[0], trial.set[1])];
      left += trial.set[0] < trial.set[1] ? 1 : 0;
      ++all;
    }
    EXPECT_EQ(catches, plan.catches);
    EXPECT_EQ(repeats, plan.repeats);
    orders.insert(order);
  }
  EXPECT_EQ(orders.size(), 12U);  // every rater has an order of its own
  for (const auto& [pair, count] : pairs) EXPECT_EQ(count, 12 * 60 / 3);
  EXPECT_NEAR(left / static_cast<double>(all), 0.5, 0.06);
}

TEST(Study, SimulatedPreferencesAreFoundAgain) {
  const std::vector<double> truth{0.8, 0.1, -0.9};
  for (const double spread : {0.0, 0.4}) {
    int covered = 0, intervals = 0;
    double error = 0;
    for (std::uint64_t study = 0; study < 60; ++study) {
      const StudyPlan plan = plan_of(3, 12, 60, study);
      const StudyResults results =
          study_results(plan, simulated_answers(plan, {truth, /*lapse=*/0, spread, 1000 + study}));
      EXPECT_TRUE(results.complete);
      EXPECT_EQ(results.counted, 12);
      for (std::size_t i = 0; i < 3; ++i) {
        const Strength& s = results.strengths[i];
        covered += s.low <= truth[i] && truth[i] <= s.high ? 1 : 0;
        ++intervals;
        error += (s.value - truth[i]) / 180;
      }
      for (const PairResult& pair : results.pairs) EXPECT_GT(pair.preferred.value, 0.5);
    }
    EXPECT_GE(covered, 0.88 * intervals) << spread;
    EXPECT_NEAR(error, 0, 0.02) << spread;
  }
}

TEST(Study, EqualSetsAreSeldomToldApart) {
  int wrong = 0;
  for (std::uint64_t study = 0; study < 200; ++study) {
    const StudyPlan plan = plan_of(2, 5, 40, study);
    const Share share =
        study_results(plan, simulated_answers(plan, {{0, 0}, /*lapse=*/0.1, 0, study})).pairs[0].preferred;
    wrong += share.low > 0.5 || share.high < 0.5 ? 1 : 0;
  }
  EXPECT_LE(wrong, 20);  // about 5 % of 200 are expected
}

TEST(Study, RatersAreCountedByTheRule) {
  const StudyPlan plan = plan_of(2, 4, 20);
  std::vector<Answer> answers = simulated_answers(plan, {{3, -3}, /*lapse=*/0, 0, 1}), kept;
  for (const Answer& answer : answers) {
    Answer given = answer;
    if (answer.rater == 1 && answer.trial == 7) continue;  // not finished
    // Rater 2 always presses the left key.
    if (answer.rater == 2) given.side = 0;
    kept.push_back(given);
  }
  const StudyResults results = study_results(plan, kept);
  ASSERT_EQ(results.raters.size(), 4U);
  EXPECT_FALSE(results.complete);
  EXPECT_EQ(results.counted, 2);
  EXPECT_TRUE(results.raters[0].counted);
  EXPECT_FALSE(results.raters[1].counted);
  EXPECT_FALSE(results.raters[2].counted);
  EXPECT_EQ(results.raters[2].left.value, 1);
  EXPECT_EQ(results.raters[2].repeats.value, 0);  // the other image each time
  EXPECT_EQ(results.raters[0].catches.value, 1);
  EXPECT_EQ(results.pairs[0].preferred.of, 2 * 20);
  // Raters prefer the first set: a score that says so agrees.
  EXPECT_TRUE(agreement(results, {{0, 1.0}, {1, 9.0}})[0].agrees);
  EXPECT_FALSE(agreement(results, {{0, 9.0}, {1, 1.0}})[0].agrees);
  EXPECT_TRUE(agreement(results, {{0, 9.0}, {1, 1.0}})[0].decided);
  EXPECT_TRUE(agreement(results, {{0, 9.0}}).empty());
  const std::string csv = answers_csv(plan, kept);
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), std::ssize(kept) + 1);
}

TEST(Study, AnswersBelongToThePlanAndTheFirstCounts) {
  const testing::TemporaryFolder folder;
  StudyPlan plan = plan_of(2, 2, 10);
  plan.folder = folder.path();
  plan.text = "plan";
  {
    Answers answers(plan, true);
    EXPECT_TRUE(answers.add({0, 0, 1, 2.5, 10}));
    EXPECT_FALSE(answers.add({0, 0, 0, 1, 11}));
    EXPECT_TRUE(answers.add({1, 3, 0, 1, 12}));
    EXPECT_TRUE(answers.answered(0)[0]);
    EXPECT_FALSE(answers.answered(0)[3]);
  }
  const std::vector<Answer> kept = Answers(plan, false).all();
  ASSERT_EQ(kept.size(), 2U);
  EXPECT_EQ(kept[0].side, 1);
  EXPECT_EQ(kept[0].seconds, 2.5);
  plan.text = "another plan";
  EXPECT_THROW(Answers(plan, false), Error);
}

}  // namespace
}  // namespace diffit::server

#include "analysis/robustness.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "runtime/pch.h"

namespace diffit::analysis {
namespace {

at::Tensor halved(const at::Tensor& x, double) {
  return 0.5 * x;
}

TEST(Robustness, SeparationIsShareOfOrderedPairs) {
  const at::Tensor a = at::tensor({1.0, 2.0, 3.0}), b = at::tensor({2.0, 5.0});
  // Pairs (a, b) with b above a: 1 and 3; ties: 1; out of 6.
  EXPECT_DOUBLE_EQ(separation(a, b), (4 + 0.5) / 6);
  EXPECT_DOUBLE_EQ(separation(b, a), 1 - (4 + 0.5) / 6);
  EXPECT_DOUBLE_EQ(separation(a, a), 0.5);
}

TEST(Robustness, ScoresDoNotDependOnBatchSize) {
  at::manual_seed(1);
  const at::Tensor y = at::randn({5, 1, 4, 4});
  RobustnessRequest request{.sigmas = {10, 0.1}, .likelihood_sigmas = {0.1, 1, 10}, .batch = 2};
  const SetScores by_two = score_set(halved, "a", y, request);
  request.batch = 5;
  const SetScores at_once = score_set(halved, "a", y, request);
  EXPECT_TRUE(at::allclose(by_two.errors, at_once.errors, 1e-12, 0));
  EXPECT_TRUE(at::allclose(by_two.bits, at_once.bits, 1e-12, 0));
  const Json json = robustness_json(request, {at_once, by_two});
  EXPECT_EQ(json["sets"][1]["pictures"], 5);
  EXPECT_EQ(json["sets"][0]["error"][1]["sigma"], 0.1);
  EXPECT_DOUBLE_EQ(json["sets"][1]["separation"].get<double>(), 0.5);
}

TEST(Robustness, NonFiniteScoresAreErrors) {
  const Denoiser broken = [](const at::Tensor& x, double) { return x / 0; };
  EXPECT_THROW(score_set(broken, "a", at::zeros({1, 1, 2, 2}), {.sigmas = {1}, .likelihood_sigmas = {}}),
               Error);
}

}  // namespace
}  // namespace diffit::analysis

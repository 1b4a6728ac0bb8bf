#include "train/optimiser.h"

#include <gtest/gtest.h>

#include <cmath>

namespace diffit::training {
namespace {

TEST(LearningRate, WarmsUpStaysConstantAndDecays) {
  OptimiserSection s;
  s.lr = 2;
  s.warmup_images = 100;
  s.decay_images = 200;
  EXPECT_EQ(learning_rate(s, 0, 1000), 0);
  EXPECT_DOUBLE_EQ(learning_rate(s, 50, 1000), 1);
  EXPECT_DOUBLE_EQ(learning_rate(s, 500, 1000), 2);
  EXPECT_DOUBLE_EQ(learning_rate(s, 900, 1000), 1);
  EXPECT_EQ(learning_rate(s, 1000, 1000), 0);
  s.decay = "cosine";
  EXPECT_DOUBLE_EQ(learning_rate(s, 900, 1000), 1);
  EXPECT_NEAR(learning_rate(s, 850, 1000), 2 * 0.5 * (1 - std::cos(M_PI * 0.75)), 1e-12);
}

/// Adam as in algorithm 1 of the paper, in double precision for a single number.
struct ScalarAdam {
  double m = 0, v = 0, w;
  int t = 0;
  void step(double g, const OptimiserSection& s, double lr, double decay) {
    ++t;
    w -= lr * decay * w;
    m = s.beta1 * m + (1 - s.beta1) * g;
    v = s.beta2 * v + (1 - s.beta2) * g * g;
    const double mh = m / (1 - std::pow(s.beta1, t)), vh = v / (1 - std::pow(s.beta2, t));
    w -= lr * mh / (std::sqrt(vh) + s.eps);
  }
};

TEST(Optimiser, MatchesAdamWithDecayOnWeightsOnly) {
  for (const std::string name : {"adam", "adamw"}) {
    OptimiserSection s;
    s.name = name;
    s.weight_decay = name == "adamw" ? 0.1 : 0;
    const std::vector<Parameter> parameters{
        {"weight", at::full({1, 1}, 0.5).requires_grad_(), Initializer::xavier_uniform},
        {"bias", at::full({1}, -0.25).requires_grad_(), Initializer::zero}};
    Optimiser optimiser(s, parameters);
    ScalarAdam weight{.w = 0.5}, bias{.w = -0.25};
    for (int i = 0; i < 20; ++i) {
      for (const Parameter& p : parameters) p.tensor.mutable_grad().reset();
      const double g = std::sin(i) + 0.3;
      (parameters[0].tensor * g + parameters[1].tensor * (-2 * g)).sum().backward();
      optimiser.step(0.01);
      weight.step(g, s, 0.01, s.weight_decay);
      bias.step(-2 * g, s, 0.01, 0);
    }
    EXPECT_NEAR(parameters[0].tensor.item<double>(), weight.w, 20 * 6e-8 * 4) << name;
    EXPECT_NEAR(parameters[1].tensor.item<double>(), bias.w, 20 * 6e-8 * 4) << name;
    EXPECT_EQ(optimiser.steps(), 20);
  }
}

TEST(Optimiser, ClipsGlobalGradientNorm) {
  OptimiserSection s;
  s.clip = 1;
  const std::vector<Parameter> parameters{
      {"a", at::zeros({2, 2}).requires_grad_(), Initializer::xavier_uniform},
      {"b", at::zeros({1}).requires_grad_(), Initializer::zero}};
  Optimiser optimiser(s, parameters);
  (parameters[0].tensor.sum() * 1.5 + parameters[1].tensor.sum() * 4).backward();
  const double norm = total_norm(optimiser.gradient_norms());
  EXPECT_NEAR(norm, 5, 1e-6);
  optimiser.clip(norm);
  EXPECT_NEAR(total_norm(optimiser.gradient_norms()), 1, 1e-6);
  optimiser.clip(0.5);
  EXPECT_NEAR(total_norm(optimiser.gradient_norms()), 1, 1e-6);
  parameters[1].tensor.mutable_grad().fill_(INFINITY);
  EXPECT_FALSE(std::isfinite(total_norm(optimiser.gradient_norms())));
}

}  // namespace
}  // namespace diffit::training

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "nn/diffit/image_model.h"
#include "nn/diffit/latent_model.h"
#include "nn/diffit/structure.h"
#include "nn/layers/testing.h"
#include "runtime/autocast.h"

namespace diffit::nn {
namespace {

ImageConfig small() {
  ImageConfig c;
  c.resolution = 16;
  c.channels = {16, 32};
  c.depth = {1, 1};
  c.head_dim = 8;
  c.mlp_ratio = 2;
  c.classes = 3;
  c.in_channels = 1;
  return c;
}

TEST(Initialise, DependsOnSeedOnly) {
  const ImageDiffiT a(small()), b(small()), c(small());
  initialise(a.parameters(), 1);
  initialise(b.parameters(), 1);
  initialise(c.parameters(), 2);
  bool differs = false;
  for (std::size_t i = 0; i < a.parameters().items().size(); ++i) {
    const at::Tensor &x = a.parameters().items()[i].tensor, &y = b.parameters().items()[i].tensor;
    EXPECT_TRUE(at::equal(x, y)) << a.parameters().items()[i].name;
    EXPECT_TRUE(at::isfinite(x.to(at::kFloat)).all().item<bool>());
    differs = differs || !at::equal(x, c.parameters().items()[i].tensor);
  }
  EXPECT_TRUE(differs);
}

TEST(Cost, ParameterCountMatchesModels) {
  ImageConfig three = small();
  three.channels = {16, 24, 32};
  three.depth = {1, 2, 3};
  three.augment_labels = 9;
  three.classes = 0;
  for (const ImageConfig& c : {small(), three, ImageConfig{}}) {
    EXPECT_EQ(total(cost_of(c)).parameters, ImageDiffiT(c).parameters().count());
  }
  LatentConfig latent{.input_size = 8, .hidden = 48, .depth = 2, .heads = 4, .classes = 10};
  EXPECT_EQ(total(cost_of(latent)).parameters, LatentDiffiT(latent).parameters().count());
  expect_describes(describe(latent), LatentDiffiT(latent).parameters());
  expect_describes(describe(three), ImageDiffiT(three).parameters());
}

// The paper reports 561 M parameters and 114 G multiply-adds for one forward pass at 256 x 256.
TEST(Cost, ReleasedModelMatchesPublishedNumbers) {
  LatentConfig xl;
  const PartCost cost = total(cost_of(xl));
  EXPECT_NEAR(static_cast<double>(cost.parameters), 561.3e6, 0.05e6);
  EXPECT_NEAR(cost.layer_macs, 114e9, 0.5e9);
}

TEST(ImageModel, AbsentConditionsAddNothing) {
  const at::NoGradGuard no_grad;
  ImageConfig config = small();
  config.augment_labels = 9;
  const ImageDiffiT model(config);
  initialise(model.parameters(), 1);
  for (const Parameter& p : model.parameters().trained()) p.tensor.add_(0.01);
  const at::Tensor x = at::randn({2, 16, 16, 1}), noise = at::zeros({2});
  const at::Tensor labels = at::zeros({2}, at::kLong);
  EXPECT_TRUE(at::equal(model(x, noise, {labels, {}}), model(x, noise, {labels, at::zeros({2, 9})})));
  EXPECT_FALSE(at::equal(model(x, noise, {labels, {}}), model(x, noise, {labels, at::ones({2, 9})})));
}

// bfloat16 keeps 8 bits, a unit roundoff of 2^-9, in each of about thirty products on the path. The errors
// add up as a random walk; the bound is four standard deviations.
TEST(ImageModel, Bfloat16ErrorIsWithinRounding) {
  const at::NoGradGuard no_grad;
  const ImageDiffiT model(small());
  initialise(model.parameters(), 5);
  for (const Parameter& p : model.parameters().trained()) {
    if (p.name == "head.conv.weight") p.tensor.normal_(0, 0.05);
  }
  const at::Tensor x = at::randn({2, 16, 16, 1}), noise = at::zeros({2});
  const Condition condition{at::ones({2}, at::kLong), {}};
  const at::Tensor exact = model(x, noise, condition);
  const Autocast autocast(at::kCPU, at::kBFloat16);
  const at::Tensor rounded = model(x, noise, condition).to(at::kFloat);
  const double relative = ((rounded - exact).norm() / exact.norm()).item<double>();
  EXPECT_GT(relative, 0) << "autocast did nothing";
  EXPECT_LT(relative, 4 * std::sqrt(30.0) * 0x1p-9);
}

TEST(Config, RejectsContradictoryFieldsByName) {
  const auto message = [](auto&& change) {
    ImageConfig c = small();
    change(c);
    try {
      check_config(c, "model");
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(message([](ImageConfig&) {}), "");
  EXPECT_NE(message([](ImageConfig& c) { c.depth = {1}; }).find("depth has 1 stages"), std::string::npos);
  EXPECT_NE(message([](ImageConfig& c) { c.resolution = 15; }).find("halved"), std::string::npos);
  EXPECT_NE(message([](ImageConfig& c) { c.head_dim = 7; }).find("head_dim"), std::string::npos);
  EXPECT_NE(message([](ImageConfig& c) { c.window = 3; }).find("window"), std::string::npos);
}

}  // namespace
}  // namespace diffit::nn

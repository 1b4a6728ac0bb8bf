#include "analysis/attention_steps.h"

#include <gtest/gtest.h>

#include "diffusion/generate.h"
#include "nn/diffit/image_model.h"
#include "runtime/pch.h"

namespace diffit::analysis {
namespace {

ImageDiffiT tiny(double time_scale) {
  ImageConfig c;
  c.resolution = 8;
  c.channels = {8, 8};
  c.depth = {1, 1};
  c.head_dim = 4;
  c.in_channels = 1;
  ImageDiffiT model(c);
  initialise(model.parameters(), 5);
  at::manual_seed(6);
  for (const Parameter& p : model.parameters()) {
    if (!p.tensor.is_floating_point()) continue;
    at::Tensor tensor = p.tensor;
    tensor.normal_(0, 0.3);
    if (p.name.find("temb") != std::string::npos) tensor.mul_(time_scale);
  }
  return model;
}

TEST(AttentionSteps, CoverEveryLayerAndPairOfSteps) {
  ImageDiffiT model = tiny(1);
  const std::vector<LayerSteps> layers = attention_over_steps(model, 3, {}, 6);
  ASSERT_EQ(layers.size(), 3U);
  for (const LayerSteps& layer : layers) {
    EXPECT_EQ(layer.at.size(), 5U) << layer.layer;
    EXPECT_GT(layer.step, 0);
    EXPECT_LE(layer.step, 1);
    EXPECT_GT(layer.image, 0);
    EXPECT_LE(layer.image, 1);
  }
}

TEST(AttentionSteps, StrongTimeTokenRaisesStepToImageRatio) {
  ImageDiffiT calm = tiny(0.05), shouting = tiny(30);
  const std::vector<LayerSteps> a = attention_over_steps(calm, 3, {}, 6),
                                b = attention_over_steps(shouting, 3, {}, 6);
  for (std::size_t l = 0; l < a.size(); ++l) EXPECT_GT(b[l].ratio(), a[l].ratio()) << a[l].layer;
}

TEST(AttentionSteps, RemoveObserverAfterwards) {
  ImageDiffiT model = tiny(1);
  const at::Tensor x = at::zeros({1, 8, 8, 1}), t = at::zeros({1});
  const at::Tensor before = model(x, t, {});
  attention_over_steps(model, 2, {}, 2);
  EXPECT_TRUE(at::equal(model(x, t, {}), before));
}

}  // namespace
}  // namespace diffit::analysis

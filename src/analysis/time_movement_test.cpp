// Tests that the measure detects time where it enters attention, and only there.
#include "analysis/time_movement.h"

#include <gtest/gtest.h>

#include "analysis/noise_error.h"
#include "base/error.h"
#include "nn/diffit/image_model.h"
#include "nn/diffit/latent_model.h"

namespace diffit::analysis {
namespace {

ImageConfig tiny(TimePath time) {
  ImageConfig c;
  c.resolution = 8;
  c.channels = {8, 8};
  c.depth = {1, 1};
  c.window = 4;
  c.head_dim = 4;
  c.in_channels = 1;
  c.time = time;
  return c;
}

template <class Network>
TimeMovement movement_of(Network&& model, at::IntArrayRef shape, double time_scale) {
  const at::NoGradGuard no_grad;
  std::uint64_t position = 0;
  for (const Parameter& p : model.parameters().trained()) {
    Random random(3, stream_of(Purpose::test, position++));
    at::Tensor tensor = p.tensor;
    tensor.copy_(normal_tensor(tensor.sizes(), random) * 0.3);
    if (p.name.find("temb") != std::string::npos) tensor.mul_(time_scale);
  }
  Random random(4, stream_of(Purpose::test, 0));
  return measure_time_movement(model, normal_tensor(shape, random) * 0.5, {}, noise_levels(0.05, 5, 3));
}

TimeMovement movement_of(const ImageConfig& config, double time_scale = 1) {
  return movement_of(ImageDiffiT(config), {2, 1, 8, 8}, time_scale);
}

LatentConfig tiny_latent() {
  return {.input_size = 8, .hidden = 16, .depth = 3, .heads = 2, .classes = 3, .in_channels = 2};
}

TEST(TimeMovement, DetectsTimeOnlyWhereItEnters) {
  for (std::size_t i = 0; i < enum_names(TimePath()).size(); ++i) {
    const auto path = static_cast<TimePath>(i);
    const std::string_view time = name_of(path);
    const TimeMovement movement = movement_of(tiny(path));
    ASSERT_EQ(movement.layers.size(), 3U);
    for (const LayerMovement& layer : movement.layers) {
      ASSERT_EQ(layer.at.size(), 3U);
      for (const Movement& m : layer.at) {
        EXPECT_EQ(m.attention > 1e-5, time_enters_attention(path))
            << time << " " << layer.layer << " " << m.attention;
        EXPECT_LE(m.attention, 1);
        const bool in_qkv = path == TimePath::tmsa || path == TimePath::adaln || path == TimePath::adaln_zero;
        for (const double moved : {m.q, m.k, m.v})
          EXPECT_EQ(moved > 1e-4, in_qkv) << time << " " << layer.layer;
      }
    }
  }
}

TEST(TimeMovement, DdpmppDependsOnTimeWithTmsaOnly) {
  for (const TimePath time : {TimePath::add, TimePath::tmsa}) {
    ImageConfig config = tiny(time);
    config.encoder = Encoder::ddpmpp;
    config.decoder = Decoder::ddpmpp;
    config.attention_sides = {8};
    const TimeMovement movement = movement_of(config);
    ASSERT_EQ(movement.layers.size(), 3U);
    EXPECT_EQ(movement.layers[1].layer, "middle.0");
    for (const LayerMovement& layer : movement.layers) {
      for (const Movement& m : layer.at) EXPECT_EQ(m.q > 1e-4, config.time == TimePath::tmsa) << layer.layer;
    }
    EXPECT_EQ(movement.mean_attention() > 1e-5, config.time == TimePath::tmsa);
  }
}

TEST(TimeMovement, LatentModelUsesLevelsOfItsProcess) {
  const TimeMovement movement = movement_of(LatentDiffiT(tiny_latent()), {2, 2, 8, 8}, 1);
  ASSERT_EQ(movement.layers.size(), 3U);
  EXPECT_EQ(movement.layers[2].layer, "blocks.2");
  EXPECT_EQ(movement.layers[2].window, 4);
  EXPECT_GT(movement.mean_attention(), 1e-4);
  // Adjacent noise levels of the linear schedule are 5% apart at 0.05 and closer above.
  const std::vector<double> asked = noise_levels(0.05, 5, 3);
  ASSERT_EQ(movement.sigmas.size(), asked.size());
  for (std::size_t i = 0; i < asked.size(); ++i) EXPECT_NEAR(movement.sigmas[i], asked[i], 0.06 * asked[i]);

  const TimeMovement still = movement_of(LatentDiffiT(tiny_latent()), {2, 2, 8, 8}, 0);
  EXPECT_EQ(still.mean_attention(), 0);
}

// TMSA adds the projection of the time token to q, k and v: doubling the projection doubles the change.
TEST(TimeMovement, GrowsWithProjectionOfTimeToken) {
  const TimeMovement once = movement_of(tiny(TimePath::tmsa), 1e-4),
                     twice = movement_of(tiny(TimePath::tmsa), 2e-4);
  // The relation is exact for the numerator of the first layer; its denominator changes by a fraction of
  // 1e-3.
  EXPECT_NEAR(twice.layers[0].at[1].q / once.layers[0].at[1].q, 2, 0.02);
  EXPECT_GT(twice.mean_attention(), 1.5 * once.mean_attention());
}

TEST(TimeMovement, ReachIsDistanceWithinWindow) {
  for (const LayerMovement& layer : movement_of(tiny(TimePath::tmsa)).layers) {
    for (const Movement& m : layer.at) {
      EXPECT_GT(m.reach, 0);
      EXPECT_LT(m.reach, 1.5 * static_cast<double>(layer.window - 1));
    }
  }
}

}  // namespace
}  // namespace diffit::analysis

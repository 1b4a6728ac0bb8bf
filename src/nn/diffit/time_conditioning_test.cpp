#include "nn/diffit/time_conditioning.h"

#include <gtest/gtest.h>

#include "base/test_folder.h"
#include "nn/diffit/image_model.h"
#include "nn/diffit/structure.h"
#include "nn/layers/testing.h"

namespace diffit::nn {
namespace {

/// A variant as written by a program that uses the library: the input of attention is LN(x) + x_t W.
class ShiftedInput final : public TimeConditioning {
 public:
  using TimeConditioning::TimeConditioning;

  static void describe(const BlockShape& shape, TimeSite site, Structure& structure) {
    if (site == TimeSite::block) structure.linear("shift_temb", shape.time_width, shape.width, 1);
  }
  at::Tensor attention_input(const at::Tensor& x, const at::Tensor& time) const override {
    const at::Tensor normal = TimeConditioning::attention_input(x, time);
    return normal + expand_to_map(layer(0)(time), normal);
  }
};

constinit const TimeVariant kShiftedInput = time_variant<ShiftedInput>("shifted_input", TimeInAttention::qkv);

TEST(TimeVariant, NamesMatchEnumValues) {
  EXPECT_EQ(name_of(TimePath::tmsa), "tmsa");
  EXPECT_EQ(name_of(TimePath::cross_attention), "cross_attention");
  EXPECT_EQ(name_of(TimePath::none), "none");
}

TEST(TimeVariant, RegisteredVariantCanBeConfiguredAndTrained) {
  const TimePath path = register_time_variant(kShiftedInput);
  testing::expect_rejected([] { register_time_variant(kShiftedInput); }, {"shifted_input", "in use"});
  EXPECT_TRUE(time_enters_attention(path));

  ImageConfig config;
  config.resolution = 8;
  config.channels = {8, 8};
  config.depth = {1, 1};
  config.head_dim = 4;
  config.in_channels = 1;
  Json written = write_model_config(config);
  written["time"] = "shifted_input";
  config = std::get<ImageConfig>(read_model_config(written, "test"));
  EXPECT_EQ(config.time, path);
  EXPECT_EQ(write_model_config(config), written);

  const ImageDiffiT model(config);
  expect_describes(describe(config), model.parameters());

  initialise(model.parameters(), 1);
  for (const Parameter& p : model.parameters().trained()) {
    p.tensor.add_(0.01);
    p.tensor.requires_grad_();
  }
  model(at::ones({1, 8, 8, 1}).cumsum(1), at::ones({1}), {}).square().sum().backward();
  std::int64_t shifts = 0;
  for (const Parameter& p : model.parameters()) {
    if (p.name.find(".block.shift_temb.weight") == std::string::npos) continue;
    EXPECT_GT(p.tensor.grad().abs().max().item<float>(), 0) << p.name;
    ++shifts;
  }
  EXPECT_EQ(shifts, 3);
}

}  // namespace
}  // namespace diffit::nn

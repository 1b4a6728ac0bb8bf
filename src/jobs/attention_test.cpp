// Attention through diffit/attention.h: agrees with what is written, with sample() and open_model(), and with
// models whose weights were edited by hand.
#include "diffit/attention.h"

#include <cmath>
#include <cstring>

#include "diffit/model.h"
#include "diffit/sample.h"
#include "io/tensors/npz.h"
#include "jobs/testing.h"

namespace diffit::testing {
namespace {

/// A float array of an .npz.
std::vector<float> array_of(const fs::path& path, const std::string& name) {
  const NpyArray array = NpzReader(path).read(name, 1 << 24);
  std::vector<float> values(array.data.size() / sizeof(float));
  std::memcpy(values.data(), array.data.data(), array.data.size());
  return values;
}

class Attention : public ::testing::Test {
 protected:
  /// A copy of the small image model with weights that `edit` changes.
  std::string edited(const std::string& name, const std::function<void(const Parameter&)>& edit) const {
    const at::NoGradGuard no_grad;
    const ImageDiffiT network(small_image_config());
    randomise(network.parameters());
    for (const Parameter& p : network.parameters()) edit(p);
    save_model(folder_ / name, network.parameters(), small_image_config(), {});
    return (folder_ / name).string();
  }
  /// D(x; sigma) of a model file for the noisy image of `spec`.
  std::vector<float> denoised(const std::string& model, const AttentionSpec& spec) const {
    const fs::path file = folder_ / "x.npz";
    opened_.write_layer(spec, file.string());
    const std::int64_t label[] = {*spec.label};
    const float sigma[] = {static_cast<float>(spec.sigma)};
    return open_model(model, on_cpu()).denoise(array_of(file, "x"), sigma, label);
  }
  static double difference(const std::vector<float>& a, const std::vector<float>& b) {
    double sum = 0, size = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      sum += std::pow(a[i] - b[i], 2);
      size += std::pow(b[i], 2);
    }
    return std::sqrt(sum / size);
  }

  TemporaryFolder folder_;
  std::string model_ = write_small_model<ImageDiffiT>(folder_ / "m.safetensors", small_image_config());
  AttentionModel opened_ = open_attention(model_, on_cpu());
};

TEST_F(Attention, LayersAreThoseOfTheNetwork) {
  ASSERT_EQ(opened_.layers().size(), 3U);
  EXPECT_EQ(opened_.layers()[0].name, "encoder.0.blocks.0");
  EXPECT_EQ(opened_.layers()[0].side, 8);
  EXPECT_EQ(opened_.layers()[0].window, 4);
  EXPECT_EQ(opened_.layers()[0].heads, 1);
  EXPECT_EQ(opened_.layers()[1].side, 4);
  EXPECT_EQ(opened_.layers()[1].heads, 2);
  EXPECT_TRUE(opened_.layers()[1].bias);
  EXPECT_FALSE(opened_.layers()[1].time_key);
  EXPECT_EQ(opened_.classes(), 3);
}

TEST_F(Attention, ViewAgreesWithTheWrittenLayer) {
  AttentionSpec spec{.seed = 5, .label = 1, .sigma = 0.7, .layer = "encoder.0.blocks.0", .y = 0.7, .x = 0.3};
  const AttentionView view = opened_.view(spec);
  const fs::path file = folder_ / "layer.npz";
  opened_.write_layer(spec, file.string());
  const AttentionLayer& layer = view.layers[0];
  EXPECT_EQ(layer.row, 5);
  EXPECT_EQ(layer.column, 2);
  EXPECT_EQ(layer.top, 4);
  EXPECT_EQ(layer.left, 0);
  // Window 2 of 2 x 2, query (1, 2) of 4 x 4.
  const std::vector<float> all = array_of(file, "attention");
  ASSERT_EQ(all.size(), 4U * 1 * 16 * 16);
  for (std::size_t key = 0; key < 16; ++key)
    EXPECT_NEAR(layer.attention[key], all[(2 * 16 + 1 * 4 + 2) * 16 + key], 1e-6);
  EXPECT_EQ(view.bias, array_of(file, "bias_by_offset"));
  EXPECT_EQ(view.bias_side, 7);
  EXPECT_EQ(view.clean.width, 8);
  // The image is the sample of that seed and class.
  const SampleResult sample = diffit::sample({.model = model_, .seeds = "5", .classes = "1"}, on_cpu());
  EXPECT_EQ(view.clean.pixels, sample.images[0].pixels);
  // D of the noisy x, as open_model() evaluates it.
  EXPECT_LT(difference(denoised(model_, spec), array_of(file, "denoised")), 1e-6);
}

TEST_F(Attention, CurvesAreTheMeasuresOfEachLevel) {
  AttentionSpec spec{.seed = 2, .label = 0, .layer = "encoder.1.blocks.0"};
  const AttentionCurves curves = opened_.curves(spec, 3, 0.1, 10);
  ASSERT_EQ(curves.sigmas.size(), 3U);
  EXPECT_NEAR(curves.sigmas[1], 1, 1e-9);
  spec.sigma = curves.sigmas[2];
  const AttentionView view = opened_.view(spec);
  for (std::size_t l = 0; l < 3; ++l) {
    EXPECT_EQ(curves.at[2][l].entropy, view.layers[l].entropy);
    EXPECT_EQ(curves.at[2][l].scores, view.layers[l].scores);
    EXPECT_NE(curves.at[0][l].scores, view.layers[l].scores);
    EXPECT_NE(view.layers[l].q, 0);
  }
  spec.all_layers = false;
  const AttentionCurves one = opened_.curves(spec, 3, 0.1, 10);
  ASSERT_EQ(one.at[2].size(), 1U);
  EXPECT_EQ(one.at[2][0].entropy, view.layers[1].entropy);
  EXPECT_FALSE(opened_.view(spec).layers[0].measured);
}

TEST_F(Attention, ImagesAreBroughtToTheModel) {
  Image red{20, 16, 3, std::vector<std::uint8_t>(20 * 16 * 3)};
  for (std::size_t i = 0; i < red.pixels.size(); i += 3) red.pixels[i] = 200;
  const AttentionView view = opened_.view({.image = red, .sigma = 0.5});
  ASSERT_EQ(view.clean.width, 8);
  EXPECT_EQ(view.clean.channels, 1);
  for (const std::uint8_t pixel : view.clean.pixels) EXPECT_NEAR(pixel, 0.299 * 200, 1);
}

TEST_F(Attention, HeadsOffAreZeroColumnsOfTheProjection) {
  const AttentionSpec spec{.seed = 3, .label = 2, .sigma = 0.4};
  const std::string without = edited("heads.safetensors", [](const Parameter& p) {
    if (p.name == "encoder.1.blocks.0.block.attn.proj.weight") p.tensor.narrow(1, 8, 8).zero_();
  });
  const AttentionCounterfactual c =
      opened_.counterfactual(spec, {.layer = "encoder.1.blocks.0", .heads_off = {1}});
  EXPECT_NEAR(c.difference, difference(denoised(without, spec), denoised(model_, spec)), 1e-5);
  EXPECT_GT(c.difference, 1e-4);
}

TEST_F(Attention, ZeroBiasIsAnEmptyTable) {
  const AttentionSpec spec{.seed = 3, .label = 2, .sigma = 0.4};
  const std::string without = edited("bias.safetensors", [](const Parameter& p) {
    if (p.name.ends_with("relative_position_bias_table")) p.tensor.zero_();
  });
  const AttentionCounterfactual all = opened_.counterfactual(spec, {.zero_bias = true});
  EXPECT_NEAR(all.difference, difference(denoised(without, spec), denoised(model_, spec)), 1e-5);
  const AttentionCounterfactual one =
      opened_.counterfactual(spec, {.layer = "decoder.0.blocks.0", .zero_bias = true});
  EXPECT_GT(one.difference, 0);
  EXPECT_NE(one.difference, all.difference);
}

TEST_F(Attention, FixedTimeIsAConstantProjection) {
  const AttentionSpec spec{.seed = 3, .label = 2, .sigma = 0.4};
  const std::string layer = "encoder.1.blocks.0";
  // The token of sigma 5, from a layer written at that level.
  AttentionSpec other = spec;
  other.sigma = 5;
  opened_.write_layer(other, (folder_ / "other.npz").string());
  const std::vector<float> token = array_of(folder_ / "other.npz", "time");
  const at::Tensor time = at::tensor(token);
  at::Tensor weight;
  const std::string fixed = edited("time.safetensors", [&](const Parameter& p) {
    if (p.name == layer + ".block.attn.qkv_temb.weight") {
      weight = p.tensor.clone();
      p.tensor.zero_();
    }
    if (p.name == layer + ".block.attn.qkv_temb.bias") p.tensor.add_(weight.mv(time));
  });
  const AttentionCounterfactual c = opened_.counterfactual(spec, {.layer = layer, .time_sigma = 5});
  EXPECT_NEAR(c.difference, difference(denoised(fixed, spec), denoised(model_, spec)), 1e-5);
  EXPECT_GT(c.difference, 1e-4);
  EXPECT_EQ(opened_.counterfactual(spec, {.layer = layer, .time_sigma = 0.4}).difference, 0);
}

TEST_F(Attention, TheModelIsAsBeforeAfterAChange) {
  const AttentionSpec spec{.seed = 1, .label = 0, .sigma = 1};
  const AttentionView before = opened_.view(spec);
  const AttentionCounterfactual c = opened_.counterfactual(
      spec, {.layer = "encoder.1.blocks.0", .time_sigma = 9, .zero_bias = true, .heads_off = {0}}, 3);
  EXPECT_GT(c.sample_difference, 0);
  EXPECT_EQ(c.sample.width, 8);
  const AttentionView after = opened_.view(spec);
  for (std::size_t l = 0; l < before.layers.size(); ++l) {
    EXPECT_EQ(before.layers[l].attention, after.layers[l].attention);
    EXPECT_EQ(before.layers[l].entropy, after.layers[l].entropy);
  }
  EXPECT_EQ(before.estimate.pixels, after.estimate.pixels);
  // The unchanged sample is that of sample() with as many steps.
  const SampleResult sample =
      diffit::sample({.model = model_, .seeds = "1", .classes = "0", .steps = 3}, on_cpu());
  EXPECT_EQ(c.sample.pixels, sample.images[0].pixels);
}

TEST_F(Attention, LatentModelsUseTheNearestTimestep) {
  const AttentionModel latent = open_attention(
      write_small_model<LatentDiffiT>(folder_ / "l.safetensors", small_latent_config()), on_cpu());
  ASSERT_EQ(latent.layers().size(), 2U);
  EXPECT_EQ(latent.layers()[1].window, 4);
  const AttentionSpec spec{.seed = 1, .label = 2, .sigma = 1.2345, .y = 0.99, .x = 0};
  const AttentionView view = latent.view(spec);
  EXPECT_NEAR(view.sigma, 1.2345, 0.02);
  EXPECT_NE(view.sigma, 1.2345);
  EXPECT_EQ(view.clean.width, 0);  // no autoencoder
  EXPECT_EQ(view.layers[0].row, 3);
  EXPECT_GT(latent.counterfactual(spec, {.layer = "blocks.1", .time_sigma = 20}).difference, 0);
  expect_rejected([&] { latent.view({.image = Image{2, 2, 1, {0, 0, 0, 0}}}); }, {"`image`", "`vae`"});
}

TEST_F(Attention, WrongFieldsAreNamed) {
  const auto view = [&](const AttentionSpec& spec) { return [this, spec] { opened_.view(spec); }; };
  expect_rejected(view({.label = 0, .layer = "blocks.7"}), {"`layer`", "encoder.1.blocks.0"});
  expect_rejected(view({.label = 0, .sigma = 0}), {"`sigma`"});
  expect_rejected(view({.label = 0, .y = 1}), {"`pixel`"});
  expect_rejected(view({.label = 4}), {"`label`", "0 to 3"});
  expect_rejected(view({}), {"`label`", "needs a class"});
  const AttentionSpec fine{.label = 0};
  expect_rejected([&] { opened_.curves(fine, 1, 0.1, 1); }, {"`levels`"});
  expect_rejected([&] { opened_.curves(fine, 3, 2, 1); }, {"`sigma_min`"});
  expect_rejected([&] { opened_.counterfactual(fine, {}); }, {"`change`"});
  expect_rejected([&] { opened_.counterfactual(fine, {.heads_off = {0}}); }, {"`heads_off`", "`layer`"});
  expect_rejected([&] { opened_.counterfactual(fine, {.layer = "encoder.0.blocks.0", .heads_off = {1}}); },
                  {"`heads_off`", "0 to 0"});
  expect_rejected([&] { opened_.counterfactual(fine, {.zero_bias = true}, 1); }, {"`steps`"});
  CancelsAfter monitor(3);
  EXPECT_EQ(kind_of_error([&] { opened_.curves({.seed = 8, .label = 0}, 9, 0.1, 10, &monitor); }),
            ErrorKind::cancelled);
}

}  // namespace
}  // namespace diffit::testing

// Compares the autoencoder with diffusers, its gradients with finite differences, and decoding in strips with
// decoding in full.
#include "nn/vae/vae.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/test_folder.h"
#include "kernels/ops.h"
#include "kernels/testing.h"
#include "nn/layers/weights_io.h"
#include "runtime/autocast.h"

namespace diffit::nn {
namespace {

SafetensorsFile golden() {
  return SafetensorsFile(fs::path(DIFFIT_SOURCE_DIR) / "tests/golden/vae/small.safetensors");
}

VaeConfig config_of(const SafetensorsFile& file) {
  return read_vae_config(parse_json(file.metadata().at("diffit.config"), "golden"), "golden");
}

at::Tensor tensor(const SafetensorsFile& file, const std::string& name) {
  return to_tensor(file.at(name));
}

/// Random weights, including biases and norms, with a magnitude that keeps the activations alive.
void randomise(const Vae& vae, std::uint64_t seed) {
  const at::NoGradGuard no_grad;
  initialise(vae.parameters(), seed);
  Random random(seed, stream_of(Purpose::initial_weights, 1u << 20));
  for (const Parameter& p : vae.parameters()) {
    if (p.tensor.dim() == 1) p.tensor.add_(0.2 * normal_tensor(p.tensor.sizes(), random));
  }
}

at::Tensor normal(at::IntArrayRef shape, std::uint64_t seed) {
  Random random(seed, stream_of(Purpose::initial_weights, 1u << 21));
  return normal_tensor(shape, random);
}

VaeConfig tiny() {
  VaeConfig c;
  c.in_channels = 1;
  c.latent_channels = 2;
  c.channels = {4, 6};
  c.blocks = 1;
  c.norm_groups = 2;
  return c;
}

// As in src/nn/diffit/golden_test.cpp: both float32 results are compared with the same network in float64,
// and the error of ours may be at most eight times the error of diffusers.
void expect_as_exact(const at::Tensor& got, const at::Tensor& want, const at::Tensor& exact,
                     const std::string& name) {
  const double scale = exact.abs().max().item<double>();
  const double theirs = (want.to(at::kDouble) - exact).abs().max().item<double>() + scale * 6e-8;
  testing::expect_close(got, exact, 8 * theirs, name);
  EXPECT_LT(theirs, 1e-5 * scale) << name << ": float64 is far from diffusers, the formula is another";
}

TEST(Vae, MatchesDiffusers) {
  const at::NoGradGuard no_grad;
  const SafetensorsFile file = golden();
  const Vae vae(config_of(file)), exact(config_of(file));
  for (const Vae* v : {&vae, &exact}) load_parameters(v->parameters(), file.tensors(), "weights.", "golden");
  exact.parameters().to(at::kDouble);
  const at::Tensor images = tensor(file, "in.pictures"), z = tensor(file, "in.z");
  expect_as_exact(vae.encode(images), tensor(file, "out.moments"), exact.encode(images.to(at::kDouble)),
                  "moments");
  expect_as_exact(vae.decode(z), tensor(file, "out.decoded"), exact.decode(z.to(at::kDouble)), "decoded");
}

TEST(Vae, FastKernelsMatchDefinitions) {
  const at::NoGradGuard no_grad;
  const Vae vae(tiny());
  randomise(vae, 3);
  const at::Tensor z = normal({2, 2, 3, 5}, 4);
  const at::Tensor fast = vae.decode(z);
  use_fast_kernels(false);
  const at::Tensor defined = vae.decode(z);
  use_fast_kernels(true);
  // About 30 layers, each with the rounding of sums of up to 54 terms; four standard deviations of a random
  // walk.
  const double scale = defined.abs().max().item<double>();
  testing::expect_close(fast, defined, 4 * std::sqrt(30.0 * 54) * testing::epsilon(at::kFloat) * scale,
                        "decoded");
}

// Central differences in float64 with step h have an error of h^2 f'''/6 + eps |f| / h. It is smallest at h =
// eps^(1/3) = 6e-6, where it is eps^(2/3) = 4e-11 of the scales of f and f'''. The bound is a thousand times
// that.
TEST(Vae, GradientsMatchFiniteDifferences) {
  const Vae vae(tiny());
  randomise(vae, 1);
  vae.parameters().to(at::kDouble);
  at::Tensor images = normal({2, 1, 4, 6}, 2).to(at::kDouble);
  const at::Tensor weight = normal({2, 4, 2, 3}, 5).to(at::kDouble),
                   weight_d = normal({2, 1, 4, 6}, 6).to(at::kDouble);
  const auto loss = [&] {
    const at::Tensor moments = vae.encode(images);
    return (moments * weight).sum() + (vae.decode(moments.narrow(1, 0, 2)) * weight_d).sum();
  };
  std::vector<Parameter> leaves = vae.parameters().trained();
  leaves.push_back({"pictures", images, Initializer::zero});
  for (const Parameter& p : leaves) p.tensor.requires_grad_();
  loss().backward();

  const at::NoGradGuard no_grad;
  const double h = 6e-6;
  for (const Parameter& p : leaves) {
    // Along one random direction for each tensor.
    at::Tensor direction = normal(p.tensor.sizes(), 7).to(at::kDouble);
    direction /= direction.norm();
    p.tensor.add_(direction, h);
    const double above = loss().item<double>();
    p.tensor.sub_(direction, 2 * h);
    const double below = loss().item<double>();
    p.tensor.add_(direction, h);
    ASSERT_TRUE(p.tensor.grad().defined()) << p.name << " got no gradient";
    const double got = (p.tensor.grad() * direction).sum().item<double>(), want = (above - below) / (2 * h);
    const double scale = p.tensor.grad().norm().item<double>() + std::abs(above);
    EXPECT_NEAR(got, want, 4e-8 * scale) << p.name;
    if (!p.name.ends_with("to_k.bias")) {  // softmax is invariant to what all keys share
      EXPECT_GT(p.tensor.grad().abs().max().item<double>(), 0) << p.name;
    }
  }
}

TEST(Vae, DownsamplingPadsRightAndBottomOnly) {
  const at::NoGradGuard no_grad;
  const Conv2d conv(2, 3, 3, 2);
  conv.weight.copy_(normal(conv.weight.sizes(), 1));
  conv.bias.copy_(normal({3}, 2));
  const at::Tensor x = normal({2, 6, 8, 2}, 3);
  const at::Tensor want = at::conv2d(at::constant_pad_nd(x.permute({0, 3, 1, 2}), {0, 1, 0, 1}), conv.weight,
                                     conv.bias, {2, 2}, at::IntArrayRef({0, 0}));
  // Sums of 18 terms of unit size.
  testing::expect_close(downsample(conv, x).permute({0, 3, 1, 2}), want,
                        4 * 18 * testing::epsilon(at::kFloat), "downsample");
}

TEST(Vae, ClampsLogVariance) {
  const at::NoGradGuard no_grad;
  const Vae vae(tiny());
  randomise(vae, 3);
  for (const Parameter& p : vae.parameters()) {
    if (p.name == "quant_conv.bias") p.tensor.copy_(at::tensor({0.0F, 0.0F, 1000.0F, -1000.0F}));
  }
  const at::Tensor moments = vae.encode(normal({1, 1, 4, 4}, 1));
  EXPECT_TRUE(moments.narrow(1, 2, 1).eq(20).all().item<bool>());
  EXPECT_TRUE(moments.narrow(1, 3, 1).eq(-30).all().item<bool>());
}

TEST(Vae, ImagesDoNotDependOnBatch) {
  const at::NoGradGuard no_grad;
  const Vae vae(tiny());
  randomise(vae, 5);
  testing::expect_independent_of_batch([&](const at::Tensor& x) { return vae.encode(x); },
                                       normal({3, 1, 8, 12}, 1), "encode");
  testing::expect_independent_of_batch([&](const at::Tensor& z) { return vae.decode(z); },
                                       normal({3, 2, 4, 6}, 2), "decode");
}

// Decoding in strips computes the same sums except for the moments of the norms, whose rounding of u each is
// passed on by some dozen norms. The bound of 256 u of the largest element allows for another order of
// summation anywhere.
TEST(VaeStrips, MatchFullDecodingUpToRounding) {
  const at::NoGradGuard no_grad;
  const SafetensorsFile file = golden();
  const Vae vae(config_of(file));
  load_parameters(vae.parameters(), file.tensors(), "weights.", "golden");
  const at::Tensor z = normal({2, 4, 11, 9}, 8);
  const at::Tensor whole = vae.decode(z);
  const double bound = 256 * testing::epsilon(at::kFloat) * whole.abs().max().item<double>();
  for (const std::int64_t rows : {1, 2, 3, 10, 11, 64}) {
    testing::expect_close(vae.decode_in_strips(z, rows), whole, bound, fmt::format("strips of {}", rows));
  }
}

TEST(VaeStrips, MatchFullDecodingInFloat64) {
  const at::NoGradGuard no_grad;
  VaeConfig same_width = tiny();
  same_width.channels = {4, 4, 4};  // no block changes the width
  same_width.blocks = 2;
  for (const VaeConfig& c : {tiny(), same_width}) {
    const Vae vae(c);
    randomise(vae, 9);
    vae.parameters().to(at::kDouble);
    const at::Tensor z = normal({1, 2, 7, 5}, 8).to(at::kDouble), whole = vae.decode(z);
    for (const std::int64_t rows : {1, 2, 4}) {
      testing::expect_close(vae.decode_in_strips(z, rows), whole,
                            256 * testing::epsilon(at::kDouble) * whole.abs().max().item<double>(),
                            "decoded");
    }
  }
}

TEST(VaeStrips, Bfloat16ErrorIsWithinRounding) {
  const at::NoGradGuard no_grad;
  const SafetensorsFile file = golden();
  const Vae vae(config_of(file));
  load_parameters(vae.parameters(), file.tensors(), "weights.", "golden");
  const at::Tensor z = tensor(file, "in.z"), exact = vae.decode(z);
  const Autocast autocast(at::kCPU, at::kBFloat16);
  for (const at::Tensor& rounded : {vae.decode(z), vae.decode_in_strips(z, 2)}) {
    EXPECT_EQ(rounded.scalar_type(), at::kFloat);
    const double relative = ((rounded - exact).norm() / exact.norm()).item<double>();
    EXPECT_GT(relative, 0) << "autocast did nothing";
    // About fifty roundings of 2^-9 in sequence, as a random walk; four standard deviations.
    EXPECT_LT(relative, 4 * std::sqrt(50.0) * 0x1p-9);
  }
}

TEST(VaeConfig, ParameterCountMatchesModel) {
  VaeConfig wide = tiny();
  wide.channels = {4, 8, 8, 2};
  wide.blocks = 3;
  VaeConfig one = tiny();
  one.channels = {4};
  for (const VaeConfig& c : {tiny(), wide, one}) {
    EXPECT_EQ(parameter_count(c), Vae(c).parameters().count());
  }
  EXPECT_EQ(parameter_count(VaeConfig{}), 83'653'863);  // Stable Diffusion's count, as published
  EXPECT_EQ(VaeConfig{}.factor(), 8);
}

TEST(VaeConfig, RejectsContradictoryFieldsByName) {
  using testing::expect_rejected;
  const auto read = [](const char* text) { return read_vae_config(parse_json(text, "file"), "file"); };
  EXPECT_EQ(write_vae_config(read(R"({"model": "vae"})")), write_vae_config(VaeConfig{}));
  expect_rejected([&] { read(R"({"model": "latent"})"); }, {"file", "autoencoder", "latent"});
  expect_rejected([&] { read(R"({"model": "vae", "channels": [32, 48]})"); },
                  {"channels[1] = 48", "norm_groups"});
  expect_rejected([&] { read(R"({"model": "vae", "channels": []})"); }, {"channels", "stages"});
  expect_rejected([&] { read(R"({"model": "vae", "scale": 0})"); }, {"scale"});
  expect_rejected([&] { read(R"({"model": "vae", "norm_group": 4})"); }, {"norm_group", "norm_groups"});
  const Vae vae(tiny());
  expect_rejected([&] { vae.encode(at::zeros({1, 1, 4, 5})); }, {"multiples of 2", "5 x 4"});
  expect_rejected([&] { vae.encode(at::zeros({1, 3, 4, 4})); }, {"[B, 1, H, W]", "1, 3, 4, 4"});
  expect_rejected([&] { vae.decode(at::zeros({1, 4, 4, 4})); }, {"[B, 2, h, w]", "1, 4, 4, 4"});
}

}  // namespace
}  // namespace diffit::nn

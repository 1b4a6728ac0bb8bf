// Tests of every variant: output shape, gradients against finite differences, contribution of every
// parameter, and the properties that define the variant.
#include <ATen/record_function.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "kernels/ops.h"
#include "kernels/testing.h"
#include "nn/diffit/image_model.h"
#include "nn/diffit/image_parts.h"
#include "nn/diffit/structure.h"
#include "nn/layers/testing.h"
#include "nn/unet/ddpmpp.h"
#include "runtime/autocast.h"

namespace diffit::nn {
namespace {

ImageConfig tiny() {
  ImageConfig c;
  c.resolution = 8;
  c.channels = {8, 12};
  c.depth = {1, 2};
  c.window = 4;
  c.head_dim = 4;
  c.mlp_ratio = 1.5;
  c.classes = 3;
  c.in_channels = 2;
  return c;
}

struct Variant {
  std::string name;
  ImageConfig config;
};

void PrintTo(const Variant& variant, std::ostream* out) {
  *out << variant.name;
}

std::vector<Variant> variants() {
  std::vector<Variant> all;
  for (std::size_t i = 0; i < enum_names(TimePath()).size(); ++i) {
    ImageConfig c = tiny();
    c.time = static_cast<TimePath>(i);
    if (c.time == TimePath::none) c.classes = 0;
    all.push_back({fmt::format("time_{}", name_of(c.time)), c});
  }
  ImageConfig fourier = tiny();
  fourier.time_embedding = TimeFeatures::fourier;
  all.push_back({"fourier", fourier});
  for (const auto& [name, encoder, decoder] :
       {std::tuple{"A", Encoder::vit, Decoder::setr_mla},
        std::tuple{"B", Encoder::multi_resolution, Decoder::setr_mla},
        std::tuple{"C", Encoder::multi_resolution, Decoder::multi_resolution},
        std::tuple{"D", Encoder::diffit, Decoder::multi_resolution},
        std::tuple{"diffit_with_mla", Encoder::diffit, Decoder::setr_mla}}) {
    ImageConfig c = tiny();
    c.encoder = encoder;
    c.decoder = decoder;
    all.push_back({name, c});
  }
  ImageConfig patch = tiny();
  patch.sampling = Sampling::patch;
  all.push_back({"patch_sampling", patch});
  ImageConfig dropout = tiny();
  dropout.dropout = 0.25;
  all.push_back({"dropout", dropout});
  for (const std::int64_t window : {2, 8}) {
    ImageConfig c = tiny();
    c.window = window;
    all.push_back({fmt::format("window_{}", window), c});
  }
  for (const TimePath time : {TimePath::add, TimePath::tmsa}) {
    ImageConfig c = tiny();
    c.encoder = Encoder::ddpmpp;
    c.decoder = Decoder::ddpmpp;
    c.time = time;
    c.attention_sides = {8};
    c.dropout = time == TimePath::tmsa ? 0.25 : 0;
    all.push_back({fmt::format("ddpmpp_{}", name_of(time)), c});
  }
  return all;
}

/// Sets all weights away from zero, so that no gate or head that starts at zero hides a part of the network.
void randomise(const ParameterList& parameters) {
  std::uint64_t position = 0;
  for (const Parameter& p : parameters.trained()) {
    Random random(3, stream_of(Purpose::test, position++));
    p.tensor.copy_(normal_tensor(p.tensor.sizes(), random) * 0.2 +
                   (p.initializer == Initializer::one ? 1 : 0));
  }
}

at::Tensor numbers(at::IntArrayRef shape, std::uint64_t stream) {
  Random random(4, stream_of(Purpose::test, stream));
  return normal_tensor(shape, random);
}

class Variants : public ::testing::TestWithParam<Variant> {
 protected:
  Variants() : model(GetParam().config) { randomise(model.parameters()); }

  Condition condition() const {
    Condition condition{.dropout = {model.config().dropout, 5, 7}};
    if (model.config().classes > 0) condition.labels = at::tensor({0, 3}, at::kLong);
    return condition;
  }
  at::Tensor operator()(const at::Tensor& noisy, const at::Tensor& level) const {
    return model(noisy, level, condition());
  }

  ImageDiffiT model;
  at::Tensor x = numbers({2, 8, 8, 2}, 1), c_noise = at::tensor({-1.0F, 0.7F});
};

TEST_P(Variants, KeepsImageShape) {
  const at::NoGradGuard no_grad;
  const at::Tensor out = (*this)(x, c_noise);
  EXPECT_EQ(out.sizes(), x.sizes());
  EXPECT_TRUE(at::isfinite(out).all().item<bool>());
}

TEST_P(Variants, OutputStartsAtZeroAndEveryParameterHasGradient) {
  for (const Parameter& p : model.parameters().trained()) p.tensor.requires_grad_();
  (*this)(x, c_noise).mul(numbers(x.sizes(), 2)).sum().backward();
  for (const Parameter& p : model.parameters().trained()) {
    ASSERT_TRUE(p.tensor.grad().defined()) << p.name;
    EXPECT_GT(p.tensor.grad().abs().max().item<float>(), 0) << p.name;
  }
  const at::NoGradGuard no_grad;
  initialise(model.parameters(), 1);
  EXPECT_EQ((*this)(x, c_noise).abs().max().item<float>(), 0);
}

// Central differences along a random direction of each parameter in float64. The truncation error is of order
// h^2 |f'''| and the rounding error u |f| / h: with h = 1e-5 both stay below 1e-8 for a derivative of order
// one.
TEST_P(Variants, GradientsMatchFiniteDifferences) {
  model.parameters().to(at::kDouble);
  const at::Tensor input = x.to(at::kDouble), weight = numbers(x.sizes(), 2).to(at::kDouble);
  const auto value = [&] { return (*this)(input, c_noise).mul(weight).sum(); };
  for (const Parameter& p : model.parameters().trained()) p.tensor.requires_grad_();
  value().backward();
  const at::NoGradGuard no_grad;
  constexpr double h = 1e-5;
  std::uint64_t stream = 10;
  for (const Parameter& p : model.parameters().trained()) {
    at::Tensor tensor = p.tensor;
    const at::Tensor direction = numbers(tensor.sizes(), stream++).to(at::kDouble);
    tensor.add_(direction, h);
    const double up = value().item<double>();
    tensor.add_(direction, -2 * h);
    const double down = value().item<double>();
    tensor.add_(direction, h);
    const double got = tensor.grad().mul(direction).sum().item<double>(), want = (up - down) / (2 * h);
    const double size = tensor.grad().norm().item<double>() * direction.norm().item<double>();
    EXPECT_NEAR(got, want, 1e-6 * std::max(1.0, size)) << p.name;
  }
}

// Training on a current CPU computes products in bfloat16. Each one rounds by at most 2^-9, some 40 times in
// sequence and in independent directions; weights of this size amplify the errors of their inputs up to
// fourfold.
TEST_P(Variants, Bfloat16OutputAndGradientsAreNearFloat32) {
  const auto results = [&](at::ScalarType dtype) {
    for (const Parameter& p : model.parameters().trained()) {
      p.tensor.requires_grad_();
      p.tensor.mutable_grad() = at::Tensor();
    }
    at::Tensor out;
    {
      const Autocast autocast(at::kCPU, dtype);
      out = (*this)(x, c_noise);
    }
    out.to(at::kFloat).mul(numbers(x.sizes(), 2)).sum().backward();
    std::vector<at::Tensor> all{out.detach().to(at::kFloat)}, gradients;
    for (const Parameter& p : model.parameters().trained()) gradients.push_back(p.tensor.grad().flatten());
    all.push_back(at::cat(gradients));
    return all;
  };
  const std::vector<at::Tensor> want = results(at::kFloat), got = results(at::kBFloat16);
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double error = ((got[i] - want[i]).norm() / want[i].norm()).item<double>();
    EXPECT_LT(error, std::sqrt(40.0) * std::exp2(-9) * 4) << (i == 0 ? "output" : "gradients");
    EXPECT_GT(error, 0) << "nothing was rounded";
  }
}

TEST_P(Variants, CheckpointingKeepsGradients) {
  const auto gradients = [&](bool on) {
    model.set_checkpointing(on);
    for (const Parameter& p : model.parameters().trained()) {
      p.tensor.requires_grad_();
      p.tensor.mutable_grad() = at::Tensor();
    }
    (*this)(x, c_noise).square().mean().backward();
    std::vector<at::Tensor> all;
    for (const Parameter& p : model.parameters().trained()) all.push_back(p.tensor.grad().clone());
    return all;
  };
  const std::vector<at::Tensor> kept = gradients(false), again = gradients(true);
  const auto list = model.parameters().trained();
  for (std::size_t i = 0; i < kept.size(); ++i) {
    // The same operations on the same numbers, except that the gradient of the time token is summed in
    // another order; it affects only the embedders.
    const double bound = 1e-5 * kept[i].abs().max().item<double>();
    testing::expect_close(again[i], kept[i], bound, list[i].name);
  }
}

/// Multiply-adds of the matrix products and convolutions that LibTorch executes, as reported by
/// RecordFunction.
class MacCounter {
 public:
  MacCounter() {
    counted_ = 0;
    handle_ = at::addGlobalCallback(
        at::RecordFunctionCallback(&begun).needsInputs(true).scopes({at::RecordScope::FUNCTION}));
  }
  ~MacCounter() { at::removeCallback(handle_); }
  MacCounter(const MacCounter&) = delete;
  MacCounter& operator=(const MacCounter&) = delete;
  double counted() const { return counted_; }

 private:
  static std::unique_ptr<at::ObserverContext> begun(const at::RecordFunction& function) {
    const std::string name = function.name();
    const auto inputs = function.inputs();
    const auto numel = [&](std::size_t i) { return static_cast<double>(inputs[i].toTensor().numel()); };
    const auto last = [&](std::size_t i) { return static_cast<double>(inputs[i].toTensor().size(-1)); };
    if (name == "aten::mm" || name == "aten::bmm") counted_ += numel(0) * last(1);
    if (name == "aten::addmm") counted_ += numel(1) * last(2);
    if (name == "aten::convolution") {
      const at::Tensor map = inputs[0].toTensor(), weight = inputs[1].toTensor();
      const auto stride = static_cast<double>(inputs[3].toIntVector()[0]);
      const double pixels = static_cast<double>(map.size(2) * map.size(3)) / (stride * stride);
      counted_ += static_cast<double>(weight.numel()) * pixels * static_cast<double>(map.size(0));
    }
    return nullptr;
  }
  static inline double counted_ = 0;
  at::CallbackHandle handle_{};
};

TEST_P(Variants, CostMatchesExecutedMatrixProducts) {
  const at::NoGradGuard no_grad;
  const bool fast = fast_kernels();
  use_fast_kernels(false);
  double counted = 0;
  {
    const MacCounter counter;
    (*this)(x, c_noise);
    counted = counter.counted();
  }
  use_fast_kernels(fast);
  const PartCost cost = total(cost_of(GetParam().config));
  EXPECT_EQ(counted, 2 * (cost.layer_macs + cost.attention_macs));  // two images
  EXPECT_EQ(cost.parameters, model.parameters().count());
}

/// Change with the time token for one input: |q(t) - q(t')| / |q(t)|, likewise k and v, and the largest
/// difference of attention probabilities on the pixels, over all blocks.
struct Movement {
  double q = 0, k = 0, v = 0, attention = 0;
};

TEST_P(Variants, StructureListsEveryParameterInOrder) {
  expect_describes(describe(GetParam().config), model.parameters());
}

TEST_P(Variants, TimeEntersAttentionAsDeclared) {
  const at::NoGradGuard no_grad;
  const at::Tensor other = model.time_token(at::tensor({0.9F, -0.4F}), condition());
  std::map<std::string, Movement> moved;
  model.observe([&](const ObservedAttention& layer) {
    // The input is the same at both times, so that convolutions that depend on time have no effect here.
    const AttentionParts now = layer.parts(layer.time), then = layer.parts(other);
    const auto pixels = [](const at::Tensor& of_keys, const AttentionParts& p, std::int64_t axis) {
      return of_keys.narrow(axis, 0, p.q.size(-2));
    };
    const auto relative = [](const at::Tensor& a, const at::Tensor& b) {
      return ((a - b).norm() / a.norm()).item<double>();
    };
    moved[layer.layer] = {
        relative(now.q, then.q), relative(pixels(now.k, now, -2), pixels(then.k, then, -2)),
        relative(pixels(now.v, now, -2), pixels(then.v, then, -2)),
        (pixels(attention_probabilities(now), now, -1) - pixels(attention_probabilities(then), then, -1))
            .abs()
            .max()
            .item<double>()};
  });
  (*this)(x, c_noise);
  EXPECT_EQ(moved.size(), model.config().encoder == Encoder::vit        ? 3U
                          : model.config().is_ddpmpp()                  ? 3U
                          : model.config().decoder == Decoder::setr_mla ? 3U
                                                                        : 4U);
  for (const auto& [name, m] : moved) {
    const std::string_view kind =
        name.starts_with("encoder") ? name_of(model.config().encoder) : name_of(model.config().decoder);
    const bool diffit = kind == "diffit" || kind == "ddpmpp";
    const TimePath path = diffit ? model.config().time : TimePath::tokens;
    const bool in_qkv = variant_of(path).attention == TimeInAttention::qkv;
    for (const double moves : {m.q, m.k, m.v}) {
      if (in_qkv) {
        EXPECT_GT(moves, 1e-3) << name;
      } else {
        EXPECT_EQ(moves, 0) << name;
      }
    }
    if (time_enters_attention(path)) {
      EXPECT_GT(m.attention, 1e-4) << name;
    } else {
      EXPECT_EQ(m.attention, 0) << name;
    }
  }
}

TEST_P(Variants, TimeChangesResultUnlessNone) {
  const at::NoGradGuard no_grad;
  const at::Tensor then = (*this)(x, c_noise), now = (*this)(x, c_noise + 0.5);
  EXPECT_EQ(at::equal(then, now), model.config().time == TimePath::none);
}

TEST_P(Variants, ConfigRoundTripsAndOmitsDefaults) {
  const Json written = write_model_config(GetParam().config);
  const auto read = std::get<ImageConfig>(read_model_config(written, "test"));
  EXPECT_EQ(write_model_config(read), written);
  EXPECT_EQ(write_fields(read), write_fields(GetParam().config));
  for (const char* field : {"time", "time_embedding", "encoder", "decoder", "sampling", "precondition",
                            "attention_sides", "dropout"}) {
    EXPECT_EQ(written.contains(field), write_fields(read)[field] != write_fields(ImageConfig{})[field])
        << field;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Variants, ::testing::ValuesIn(variants()),
                         [](const auto& variant) { return variant.param.name; });

// The explicit steps must equal the fused kernel, so that what is measured on them is what runs.
TEST(Windows, ExplicitStepsMatchFusedAttention) {
  const at::NoGradGuard no_grad;
  const Tmsa attention({.width = 16, .time_width = 24, .heads = 4, .window = 4});
  ParameterList list;
  attention.add_to(list, "attn");
  randomise(list);
  list.to(at::kDouble);
  const at::Tensor map = numbers({2, 8, 12, 16}, 1).to(at::kDouble),
                   time = numbers({2, 24}, 2).to(at::kDouble);
  const at::Tensor open = attention.proj(attend(attention.parts(map, time), 8, 12));
  // Two orders of summation of some ten products in float64.
  testing::expect_close(open, attention(map, time), 1e-13 * open.abs().max().item<double>(), "attention");
}

TEST(UnetAttention, DependsOnTimeWithTmsaOnly) {
  const at::NoGradGuard no_grad;
  const at::Tensor map = numbers({2, 4, 4, 8}, 1), now = numbers({2, 12}, 2), then = numbers({2, 12}, 3);
  for (const TimePath path : {TimePath::add, TimePath::tmsa}) {
    const UnetAttention attention(8, 12, 2, 4, path);
    ParameterList list;
    attention.add_to(list, "attention");
    randomise(list);
    EXPECT_EQ(at::equal(attention(map, now), attention(map, then)), path == TimePath::add);
  }
}

TEST(Ddpmpp, HasSizeOfCifar10Network) {
  // Song et al. 2021 (appendix H) and EDM: 128 channels times 1, 2, 2, 2, four blocks, attention at 16. Their
  // time embedding has 128 features (ours has 256), and their attention has one head over all channels.
  ImageConfig c;
  c.channels = {128, 256, 256, 256};
  c.depth = {4, 4, 4, 4};
  c.head_dim = 256;
  c.encoder = Encoder::ddpmpp;
  c.decoder = Decoder::ddpmpp;
  c.time = TimePath::add;
  EXPECT_NEAR(static_cast<double>(total(cost_of(c)).parameters), 61.8e6, 0.3e6);
}

TEST(Sampling, DepthToSpaceInvertsSpaceToDepth) {
  const at::Tensor x = numbers({2, 8, 4, 3}, 1);
  EXPECT_TRUE(at::equal(depth_to_space(space_to_depth(x, 2), 2), x));
  EXPECT_TRUE(
      at::equal(space_to_depth(x, 2).select(1, 1).select(1, 0).slice(1, 3, 6), x.select(1, 2).select(1, 1)));
}

TEST(Config, RejectsContradictoryVariantsByName) {
  const auto message = [](auto&& change) {
    ImageConfig c = tiny();
    change(c);
    try {
      check_config(c, "model");
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const auto expect = [&](auto&& change, const std::string& wanted) {
    const std::string got = message(change);
    EXPECT_NE(got.find(wanted), std::string::npos) << got;
  };
  expect([](ImageConfig& c) { c.time = TimePath::none; }, "no way in for 3 classes");
  expect([](ImageConfig& c) { c.time = TimePath::mlp, c.decoder = Decoder::setr_mla; }, "leave time out");
  expect([](ImageConfig& c) { c.encoder = Encoder::ddpmpp; }, "'ddpmpp' is both or neither");
  expect(
      [](ImageConfig& c) {
        c.encoder = Encoder::ddpmpp, c.decoder = Decoder::ddpmpp, c.time = TimePath::mlp;
      },
      "takes add");
  expect(
      [](ImageConfig& c) {
        c.encoder = Encoder::ddpmpp, c.decoder = Decoder::ddpmpp, c.time = TimePath::add;
        c.channels = {68, 68}, c.depth = {1, 1}, c.head_dim = 68;
      },
      "'decoder.1.blocks.0' of 'ddpmpp' takes 136 with its skip, which cannot be split into 32 groups");
  expect([](ImageConfig& c) { c.attention_sides = {8}; }, "attention_sides is for encoder 'ddpmpp'");
  expect([](ImageConfig& c) { c.dropout = 0.1, c.decoder = Decoder::setr_mla; },
         "dropout 0.1 is for encoder and decoder 'diffit' or 'ddpmpp'");
  expect([](ImageConfig& c) { c.encoder = Encoder::vit; }, "take decoder 'setr_mla'");
  expect(
      [](ImageConfig& c) {
        c.encoder = Encoder::vit, c.decoder = Decoder::setr_mla, c.sampling = Sampling::patch;
      },
      "sampling");
  expect(
      [](ImageConfig& c) {
        c.encoder = Encoder::vit, c.decoder = Decoder::setr_mla, c.depth = {0, 1};
      },
      "2 levels");
}

TEST(Config, ErrorsListAllowedVariants) {
  const auto expect = [](const char* field, const char* value, const std::string& wanted) {
    Json object = write_model_config(tiny());
    object[field] = value;
    try {
      read_model_config(object, "model");
      ADD_FAILURE() << field << " = " << value << " was accepted";
    } catch (const Error& error) {
      const std::string got = error.what();
      EXPECT_TRUE(got.starts_with(fmt::format("model.{}: wanted one of ", field))) << got;
      EXPECT_NE(got.find(wanted), std::string::npos) << got;
    }
  };
  // Other tests may have registered further variants, which are listed last.
  expect("time", "adalm", "scale_shift, concat, add, cross_attention, none");
  expect("time", "adalm", ", got 'adalm'; did you mean 'adaln'?");
  expect("encoder", "multiresolution", "did you mean 'multi_resolution'?");
  expect("sampling", "conv", "wanted one of convolution, patch");
  expect("precondition", "vpp", "wanted one of edm, vp, ve");
  expect("time_embedding", "", "wanted one of positional, fourier, got ''");
}

}  // namespace
}  // namespace diffit::nn

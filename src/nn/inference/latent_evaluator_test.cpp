#include "nn/inference/latent_evaluator.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "kernels/testing.h"
#include "nn/diffit/latent_model.h"
#include "nn/layers/weights_io.h"

namespace diffit::nn {
namespace {

// A grid of 8, with windows for the small attention kernel, and a grid of 16, for the large one.
const LatentConfig configs[] = {
    {.input_size = 16, .patch = 2, .hidden = 48, .depth = 2, .heads = 4, .mlp_ratio = 2, .classes = 5},
    {.input_size = 16, .patch = 1, .hidden = 72, .depth = 3, .heads = 2, .classes = 7, .in_channels = 3}};

/// A network in which every parameter affects the result, with its state as stored in a file.
struct Network {
  LatentDiffiT model;
  std::vector<std::pair<std::string, at::Tensor>> tensors;

  explicit Network(const LatentConfig& config) : model(config) {
    const at::NoGradGuard no_grad;
    at::manual_seed(31);
    initialise(model.parameters(), 3);
    for (const Parameter& p : model.parameters().trained()) p.tensor.add_(at::randn_like(p.tensor) * 0.05);
    tensors = named_tensors(model.parameters());
  }
  std::vector<TensorView> views() const {
    std::vector<TensorView> all;
    for (const auto& [name, tensor] : tensors) all.push_back(view_of(name, tensor));
    return all;
  }
  LatentEvaluator evaluator(at::ScalarType dtype) const {
    return LatentEvaluator(model.config(), views(), "network", dtype, at::kCPU);
  }
};

struct Inputs {
  at::Tensor x, t, labels;
};

Inputs make_inputs(const LatentConfig& c, std::int64_t batch) {
  at::manual_seed(32);
  return {at::randn({batch, c.in_channels, c.input_size, c.input_size}),
          at::arange(batch, at::kFloat) * 333 + 7.5, at::arange(batch, at::kLong).remainder(c.classes + 1)};
}

at::Tensor exact_result(const LatentConfig& config, const Inputs& in) {
  const at::NoGradGuard no_grad;
  const Network exact(config);
  exact.model.parameters().to(at::kDouble);
  return exact.model(in.x.to(at::kDouble), in.t, in.labels);
}

double error_of(const at::Tensor& got, const at::Tensor& exact) {
  return ((got.to(at::kDouble) - exact).norm() / exact.norm()).item<double>();
}

// Same tolerance as for the golden states: another order of summation gives an error of the same
// distribution.
TEST(LatentEvaluator, Float32ErrorIsComparableToNetwork) {
  const at::NoGradGuard no_grad;
  for (const LatentConfig& config : configs) {
    const Network network(config);
    const Inputs in = make_inputs(config, 3);
    const at::Tensor exact = exact_result(config, in);
    LatentEvaluator evaluator = network.evaluator(at::kFloat);
    const at::Tensor got = evaluator(in.x, in.t, in.labels);
    ASSERT_EQ(got.sizes(), exact.sizes());
    const double bound = 8 * (error_of(network.model(in.x, in.t, in.labels), exact) + 6e-8);
    EXPECT_LE(error_of(got, exact), bound) << config.hidden;
  }
}

// Six products per block and four roundings of the factors of attention, each at most 2^-8, add up as a
// random walk; the bound is four standard deviations. The residual stream itself is float32.
TEST(LatentEvaluator, Bfloat16ErrorIsWithinRounding) {
  for (const LatentConfig& config : configs) {
    const Network network(config);
    const Inputs in = make_inputs(config, 3);
    LatentEvaluator evaluator = network.evaluator(at::kBFloat16);
    const at::Tensor got = evaluator(in.x, in.t, in.labels);
    EXPECT_EQ(got.scalar_type(), at::kFloat);
    const double error = error_of(got, exact_result(config, in));
    EXPECT_GT(error, 1e-5) << "it computed in more";
    EXPECT_LT(error, 4 * std::sqrt(10.0 * static_cast<double>(config.depth)) * 0x1p-9);
  }
}

TEST(LatentEvaluator, AcceptsSharedTimeAndDependsOnTimeAndLabel) {
  for (const LatentConfig& config : configs) {
    const Network network(config);
    Inputs in = make_inputs(config, 4);
    in.t = at::full({4}, 250.0F);
    const at::Tensor exact = exact_result(config, in);
    LatentEvaluator rows = network.evaluator(at::kFloat), one = network.evaluator(at::kFloat);
    const double bound = 8 * (error_of(rows(in.x, in.t, in.labels), exact) + 6e-8);
    EXPECT_LE(error_of(one(in.x, 250, in.labels), exact), bound);
    EXPECT_GT(error_of(one(in.x, 251, in.labels), exact), 10 * bound) << "the time does not enter";
    EXPECT_GT(error_of(one(in.x, 250, in.labels + 1), exact), 10 * bound) << "the label does not enter";
  }
}

TEST(LatentEvaluator, RowsDoNotDependOnBatch) {
  for (const LatentConfig& config : configs) {
    const Inputs in = make_inputs(config, 5);
    LatentEvaluator evaluator = Network(config).evaluator(at::kFloat);
    const at::Tensor together = evaluator(in.x, in.t, in.labels), exact = exact_result(config, in);
    const double bound = 8 * (error_of(together, exact) + 6e-8);
    for (std::int64_t b = 0; b < 5; ++b) {
      const at::Tensor alone =
          evaluator(in.x.narrow(0, b, 1), in.t.narrow(0, b, 1), in.labels.narrow(0, b, 1));
      EXPECT_LE(error_of(alone, exact.narrow(0, b, 1)), bound) << b;
    }
  }
}

TEST(LatentEvaluator, KeepsNoReferenceToFile) {
  const Inputs in = make_inputs(configs[0], 2);
  Network network(configs[0]);
  LatentEvaluator evaluator = network.evaluator(at::kFloat);
  const at::Tensor before = evaluator(in.x, in.t, in.labels);
  const at::NoGradGuard no_grad;
  for (auto& [name, tensor] : network.tensors) tensor.zero_();
  EXPECT_TRUE(at::equal(LatentEvaluator(std::move(evaluator))(in.x, in.t, in.labels), before));
}

TEST(LatentEvaluator, ListsAllMismatchesInOneError) {
  Network network(configs[0]);
  const at::NoGradGuard no_grad;
  for (auto& [name, tensor] : network.tensors) {
    if (name == "blocks.0.attn.qkv.weight") name = "blocks.0.attn.kqv.weight";
    if (name == "blocks.1.mlp.fc1.bias") tensor = tensor.slice(0, 1).contiguous();
    if (name == "final_layer.linear.weight") tensor = tensor.clone().fill_(std::nan(""));
  }
  try {
    network.evaluator(at::kFloat);
    FAIL() << "was taken";
  } catch (const Error& error) {
    const std::string message = error.what();
    for (const char* part :
         {"network: ", "missing blocks.0.attn.qkv.weight", "unexpected blocks.0.attn.kqv.weight",
          "blocks.1.mlp.fc1.bias: wanted shape", "final_layer.linear.weight: holds NaN"}) {
      EXPECT_NE(message.find(part), std::string::npos) << part << " in " << message;
    }
  }
}

TEST(ConditionCache, ComputesEachRowOnceWithinCapacity) {
  std::vector<std::int64_t> computed;
  ConditionCache cache(8, 8 * 4, [&](std::span<const std::int64_t> keys) {
    computed.insert(computed.end(), keys.begin(), keys.end());
    return at::tensor(at::ArrayRef<std::int64_t>(keys.data(), keys.size())).unsqueeze(1);
  });
  const auto rows = [&](std::vector<std::int64_t> keys) {
    EXPECT_TRUE(at::equal(cache.rows(keys).flatten(), at::tensor(keys))) << keys.size();
  };
  EXPECT_EQ(cache.capacity(), 4);
  rows({3, 1, 3});
  rows({1, 2});
  EXPECT_EQ(computed, (std::vector<std::int64_t>{1, 3, 2}));
  rows({5, 6, 1});
  EXPECT_EQ(cache.size(), 3) << "what was kept had to go";
  rows({0, 1, 2, 3, 4, 5, 6, 7});
  rows({7});
  EXPECT_EQ(computed.back(), 7);
  EXPECT_EQ(computed.size(), 14U);
}

}  // namespace
}  // namespace diffit::nn

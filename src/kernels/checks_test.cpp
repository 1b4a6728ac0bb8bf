// Wrong arguments of the operations are Error(invalid), with what was wanted and what was got, whichever path
// would have been taken.
#include "kernels/checks.h"

#include <c10/core/CPUAllocator.h>

#include <cmath>

#include "base/error.h"
#include "kernels/ops.h"
#include "kernels/packed_convolution.h"
#include "kernels/packed_linear.h"
#include "kernels/testing.h"
#include "runtime/autocast.h"

namespace diffit::kernels {
namespace {

/// The process's allocator before any test runs.
const c10::Allocator* const allocator_at_start = c10::GetCPUAllocator();

using at::Tensor;

/// Expects Error(invalid) whose message holds each of `words`, with the fast paths and without.
void expect_refused(const std::function<void()>& call, const std::vector<std::string>& words) {
  for (const bool fast : {true, false}) {
    use_fast_kernels(fast);
    try {
      call();
      ADD_FAILURE() << fmt::format("not refused: {}", fmt::join(words, ", "));
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::invalid);
      const std::string message = error.what();
      for (const std::string& word : words)
        EXPECT_NE(message.find(word), std::string::npos) << "no '" << word << "' in: " << message;
      EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    }
  }
  use_fast_kernels(true);
}

Tensor half(at::IntArrayRef shape) {
  return at::zeros(shape, at::kHalf);
}
Tensor integers(at::IntArrayRef shape) {
  return at::zeros(shape, at::kLong);
}
Tensor elsewhere(at::IntArrayRef shape) {
  return at::zeros(shape, at::TensorOptions(at::kMeta));
}

TEST(FastKernels, AskingForThemDoesNotReplaceTheAllocator) {
  fast_kernels();
  EXPECT_EQ(c10::GetCPUAllocator(), allocator_at_start);
}

TEST(Checks, OfTmsaAttention) {
  const Tensor qkv = at::zeros({2, 8, 4, 24}), time = at::zeros({2, 24}), table = at::zeros({49, 2});
  tmsa_attention(qkv, time, table, 2, 4);
  const auto refused = [](const Tensor& x, const Tensor& t, const Tensor& b, std::int64_t heads,
                          std::int64_t window, const std::vector<std::string>& words) {
    expect_refused([&] { tmsa_attention(x, t, b, heads, window); }, words);
  };
  refused(Tensor(), time, table, 2, 4, {"tmsa_attention", "qkv", "undefined"});
  refused(qkv, Tensor(), table, 2, 4, {"qkv_t", "undefined"});
  refused(qkv, time, Tensor(), 2, 4, {"table", "undefined"});
  refused(qkv[0], time, table, 2, 4, {"[B, H, W, 3C]", "[8, 4, 24]"});
  refused(at::zeros({0, 8, 4, 24}), at::zeros({0, 24}), table, 2, 4, {"no elements"});
  refused(qkv, time, table, 0, 4, {"heads", "0"});
  refused(qkv, time, table, -2, 4, {"heads", "-2"});
  refused(qkv, time, table, 2, 0, {"window", "0"});
  refused(at::zeros({2, 6, 4, 24}), time, table, 2, 4, {"window 4", "height 6"});
  refused(at::zeros({2, 8, 5, 24}), time, table, 2, 4, {"window 4", "width 5"});
  refused(at::zeros({2, 8, 4, 26}), at::zeros({2, 26}), table, 2, 4, {"heads", "26"});
  refused(qkv, time, at::zeros({49, 5}), 5, 4, {"heads", "15", "24"});
  refused(qkv, at::zeros({1, 24}), table, 2, 4, {"qkv_t", "[2, 24]", "[1, 24]"});
  refused(qkv, at::zeros({2, 8}), table, 2, 4, {"qkv_t", "[2, 8]"});
  refused(qkv, time, at::zeros({48, 2}), 2, 4, {"table", "[49, 2]", "[48, 2]"});
  refused(qkv, time, at::zeros({49, 1}), 2, 4, {"table", "[49, 1]"});
  refused(half({2, 8, 4, 24}), time, table, 2, 4, {"qkv", "Half"});
  refused(qkv, integers({2, 24}), table, 2, 4, {"qkv_t", "Long"});
  refused(qkv, time, integers({49, 2}), 2, 4, {"table", "Long"});
  refused(qkv, elsewhere({2, 24}), table, 2, 4, {"qkv_t", "cpu", "meta"});
  refused(qkv, time, elsewhere({49, 2}), 2, 4, {"table", "cpu", "meta"});
}

TEST(Checks, OfLayerNorm) {
  const Tensor x = at::zeros({3, 5});
  expect_refused([&] { layer_norm(Tensor(), 1e-6); }, {"layer_norm", "undefined"});
  expect_refused([&] { layer_norm(at::zeros({}), 1e-6); }, {"[..., C]", "[]"});
  expect_refused([&] { layer_norm(at::zeros({3, 0}), 1e-6); }, {"[3, 0]"});
  expect_refused([&] { layer_norm(half({3, 5}), 1e-6); }, {"Half"});
  expect_refused([&] { layer_norm(x, -1e-6); }, {"eps"});
  expect_refused([&] { layer_norm(x, std::nan("")); }, {"eps"});
}

TEST(Checks, OfAddLayerNorm) {
  Tensor stream = at::zeros({3, 5});
  const auto refused = [](Tensor to, const Tensor& added, const std::vector<std::string>& words) {
    expect_refused([&] { add_layer_norm(to, added, 1e-6); }, words);
  };
  refused(stream, at::zeros({3, 4}), {"stream", "[3, 4]", "[3, 5]"});
  refused(stream, at::zeros({2, 5}), {"stream", "[2, 5]"});
  refused(stream, at::zeros({15}), {"stream", "[15]"});
  refused(stream.to(at::kBFloat16), at::zeros({3, 5}, at::kBFloat16), {"stream", "Float", "BFloat16"});
  refused(stream, half({3, 5}), {"added", "Half"});
  refused(elsewhere({3, 5}), at::zeros({3, 5}), {"stream", "meta"});
  refused(stream, at::zeros({3, 5}).requires_grad_(), {"not differentiable"});
  refused(Tensor(), at::zeros({3, 5}), {"stream", "undefined"});
  refused(stream, Tensor(), {"added", "undefined"});
}

TEST(Checks, OfGroupNorm) {
  const Tensor x = at::zeros({2, 3, 3, 8}), scale = at::zeros({8}), shift = at::zeros({8});
  const auto refused = [](const Tensor& map, std::int64_t groups, const Tensor& weight, const Tensor& bias,
                          double eps, const std::vector<std::string>& words) {
    expect_refused([&] { group_norm(map, groups, weight, bias, eps, true); }, words);
  };
  refused(x, 3, scale, shift, 1e-5, {"group_norm", "groups 3", "8"});
  refused(x, 0, scale, shift, 1e-5, {"groups", "0"});
  refused(x, 4, at::zeros({7}), shift, 1e-5, {"weight", "[8]", "[7]"});
  refused(x, 4, scale, at::zeros({1, 8}), 1e-5, {"bias", "[1, 8]"});
  refused(x, 4, Tensor(), shift, 1e-5, {"weight", "undefined"});
  refused(x, 4, scale, integers({8}), 1e-5, {"bias", "Long"});
  refused(x, 4, scale, elsewhere({8}), 1e-5, {"bias", "meta"});
  refused(at::zeros({0, 3, 3, 8}), 4, scale, shift, 1e-5, {"no elements"});
  refused(at::zeros({8}), 4, scale, shift, 1e-5, {"[B, ..., C]"});
  refused(half({2, 3, 3, 8}), 4, scale, shift, 1e-5, {"Half"});
  refused(x, 4, scale, shift, -1.0, {"eps"});
}

TEST(Checks, OfLinear) {
  const Tensor x = at::zeros({4, 6}), weight = at::zeros({3, 6}), bias = at::zeros({3});
  const auto refused = [](const Tensor& in, const Tensor& w, const Tensor& b,
                          const std::vector<std::string>& words) {
    expect_refused([&] { linear(in, w, b); }, words);
  };
  refused(x, at::zeros({3, 5}), bias, {"linear", "[..., 5]", "[4, 6]"});
  refused(x, at::zeros({3, 6, 1}), bias, {"weight", "[out, in]"});
  refused(x, weight, at::zeros({4}), {"bias", "[3]", "[4]"});
  refused(at::zeros({}), weight, bias, {"x", "[]"});
  refused(x.to(at::kBFloat16), weight, bias, {"weight", "BFloat16", "Float"});
  refused(x, weight, bias.to(at::kDouble), {"bias", "Double"});
  refused(half({4, 6}), half({3, 6}), half({3}), {"Half"});
  refused(x, elsewhere({3, 6}), bias, {"weight", "meta"});
  const Autocast autocast(at::kCPU, at::kBFloat16);
  linear(x, weight, bias.to(at::kBFloat16));  // autocast brings them to one type
  refused(x, integers({3, 6}), bias, {"weight", "Long"});
}

TEST(Checks, OfConv2d) {
  const Tensor x = at::zeros({2, 5, 5, 4}), weight = at::zeros({3, 4, 3, 3}), bias = at::zeros({3});
  const auto refused = [](const Tensor& in, const Tensor& w, const Tensor& b, std::int64_t stride,
                          const std::vector<std::string>& words) {
    expect_refused([&] { conv2d(in, w, b, stride); }, words);
  };
  refused(x, at::zeros({3, 5, 3, 3}), bias, 1, {"conv2d", "[B, H, W, 5]", "[2, 5, 5, 4]"});
  refused(x, at::zeros({3, 4, 3, 1}), bias, 1, {"weight", "[3, 4, 3, 1]"});
  refused(x, at::zeros({3, 4, 9}), bias, 1, {"weight", "[Cout, Cin, k, k]"});
  refused(x, weight, at::zeros({2}), 1, {"bias", "[3]", "[2]"});
  refused(x, weight, bias, 0, {"stride", "0"});
  refused(x[0], weight, bias, 1, {"x", "[B, H, W, Cin]"});
  refused(at::zeros({2, 0, 5, 4}), at::zeros({3, 4, 2, 2}).narrow(2, 0, 1).narrow(3, 0, 1), bias, 1,
          {"smaller"});
  refused(x.to(at::kBFloat16), weight, bias, 1, {"weight", "Float"});
  refused(x, elsewhere({3, 4, 3, 3}), bias, 1, {"weight", "meta"});
}

TEST(Checks, OfPointwiseOperations) {
  expect_refused([] { gelu_tanh(integers({3})); }, {"gelu_tanh", "Long"});
  expect_refused([] { gelu_tanh(Tensor()); }, {"undefined"});
  expect_refused([] { upsample2(at::zeros({2, 3, 4})); }, {"upsample2", "[B, H, W, C]", "[2, 3, 4]"});
  expect_refused([] { upsample2(at::zeros({2, 0, 4, 1})); }, {"no elements"});
  expect_refused([] { upsample2(half({1, 1, 1, 1})); }, {"Half"});
}

TEST(Checks, OfPackedLinear) {
  const Tensor weight = at::zeros({3, 6}), bias = at::zeros({3});
  expect_refused([&] { PackedLinear(at::zeros({6}), bias, 1); }, {"weight", "[out, in]"});
  expect_refused([&] { PackedLinear(weight, at::zeros({6}), 1); }, {"bias", "[3]"});
  expect_refused([&] { PackedLinear(weight, bias.to(at::kBFloat16), 1); }, {"bias", "Float", "BFloat16"});
  expect_refused([&] { PackedLinear(weight, bias, 0); }, {"rows"});
  const PackedLinear layer(weight, bias, 4);
  expect_refused([&] { layer(at::zeros({4, 5})); }, {"[..., 6]", "[4, 5]"});
  expect_refused([&] { layer.gelu_tanh(at::zeros({4, 6}, at::kBFloat16)); }, {"BFloat16"});
  expect_refused(
      [&] {
        layer.add_to(at::zeros({4, 2}), at::zeros({4, 6}));
      },
      {"residual", "[4, 3]", "[4, 2]"});
  expect_refused([&] { layer.add_to(at::zeros({4, 3}), elsewhere({4, 6})); }, {"meta"});
}

TEST(Checks, OfPackedConvolution) {
  const Tensor weight = at::zeros({3, 4, 3, 1}), bias = at::zeros({3});
  using Pair = std::array<std::int64_t, 2>;
  using Size = std::array<std::int64_t, 4>;
  const auto refused = [&](const Tensor& w, const Tensor& b, Pair padding, std::int64_t stride, Size like,
                           const std::vector<std::string>& words) {
    expect_refused([&] { PackedConvolution(w, b, padding, stride, like); }, words);
  };
  refused(at::zeros({3, 4}), bias, {1, 0}, 1, {1, 4, 5, 5}, {"weight"});
  refused(weight, Tensor(), {1, 0}, 1, {1, 4, 5, 5}, {"bias", "undefined"});
  refused(weight, bias, {-1, 0}, 1, {1, 4, 5, 5}, {"padding", "-1"});
  refused(weight, bias, {1, 0}, 0, {1, 4, 5, 5}, {"stride"});
  refused(weight, bias, {1, 0}, 1, {1, 5, 5, 5}, {"like", "[1, 5, 5, 5]"});
  refused(weight, bias, {0, 0}, 1, {1, 4, 2, 5}, {"like"});
  const PackedConvolution layer(weight, bias, {0, 0}, 1, {1, 4, 5, 5});
  expect_refused([&] { layer(at::zeros({1, 5, 5, 3}), false); }, {"[B, H, W, 4]", "[1, 5, 5, 3]"});
  expect_refused([&] { layer(at::zeros({1, 2, 5, 4}), false); }, {"smaller", "3 x 1"});
  expect_refused([&] { layer(at::zeros({1, 5, 5, 4}, at::kBFloat16), false); }, {"BFloat16"});
  expect_refused([&] { layer(at::zeros({5, 5, 4}), false); }, {"[B, H, W, in]"});
}

}  // namespace
}  // namespace diffit::kernels

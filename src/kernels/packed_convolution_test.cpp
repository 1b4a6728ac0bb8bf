#include "kernels/packed_convolution.h"

#include <cmath>

#include "kernels/dispatch.h"
#include "kernels/ops.h"
#include "kernels/testing.h"
#include "runtime/pch.h"

namespace diffit::kernels {
namespace {

using at::Tensor;
using testing::epsilon;
using testing::expect_close;

struct Case {
  std::int64_t height, width, in, out, kernel_height, kernel_width, stride;
  std::array<std::int64_t, 2> padding;
};
// Inception's kinds: three channels in steps of two, unpadded, oblong either way, 1 x 1, and odd widths.
constexpr Case cases[] = {{31, 31, 3, 32, 3, 3, 2, {0, 0}},  {17, 17, 48, 64, 1, 7, 1, {0, 3}},
                          {17, 17, 48, 64, 7, 1, 1, {3, 0}}, {8, 9, 80, 30, 1, 1, 1, {0, 0}},
                          {9, 8, 5, 7, 5, 5, 1, {2, 2}},     {12, 12, 16, 24, 3, 3, 2, {1, 1}}};

TEST(PackedConvolution, AgreesWithConvolutionInFloat64) {
  at::manual_seed(3);
  for (const Case& c : cases) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
      const Tensor x = at::randn({3, c.height, c.width, c.in}).to(type);
      const Tensor weight = at::randn({c.out, c.in, c.kernel_height, c.kernel_width}).to(type);
      const Tensor bias = at::randn({c.out}).to(type);
      const PackedConvolution layer(weight, bias, c.padding, c.stride, {8, c.in, c.height, c.width});
      EXPECT_EQ(layer.packed(), onednn_takes(type));
      const auto exact = [](const Tensor& t) { return t.to(at::kDouble); };
      const Tensor want = at::conv2d(exact(x).permute({0, 3, 1, 2}), exact(weight), exact(bias),
                                     {c.stride, c.stride}, c.padding)
                              .permute({0, 2, 3, 1});
      // A sum of n products in any order (Higham and Mary 2019, lambda = 4) on the norms of its factors,
      // which are below those of a patch and a kernel of the largest elements; one rounding of the result.
      const double n = static_cast<double>(c.in * c.kernel_height * c.kernel_width);
      const double norms = n * exact(x).abs().max().item<double>() * exact(weight).abs().max().item<double>();
      const Tensor bound = 4 * epsilon(at::kFloat) * (std::sqrt(n) + 2) * norms / std::sqrt(n) +
                           1.01 * epsilon(type) * want.abs();
      const std::string name = fmt::format("{}x{} of {} to {} {}", c.kernel_height, c.kernel_width, c.in,
                                           c.out, c10::toString(type));
      const Tensor got = layer(x, false);
      EXPECT_EQ(got.scalar_type(), type);
      EXPECT_TRUE(got.is_contiguous()) << name;
      expect_close(got, want, bound, name);
      expect_close(layer(x, true), want.relu(), bound, name + " relu");
    }
  }
}

TEST(PackedConvolution, FallsBackToItsDefinition) {
  const Tensor x = at::randn({2, 9, 9, 8}), weight = at::randn({4, 8, 3, 3}), bias = at::randn({4});
  use_fast_kernels(false);
  const PackedConvolution layer(weight, bias, {1, 1}, 2, {2, 8, 9, 9});
  use_fast_kernels(true);
  EXPECT_FALSE(layer.packed());
  const Tensor want = at::conv2d(x.permute({0, 3, 1, 2}), weight, bias, {2, 2}, {1, 1}).permute({0, 2, 3, 1});
  expect_close(layer(x, false), want, 1e-5, "plain");
  expect_close(layer(x, true), want.relu(), 1e-5, "relu");
}

TEST(PackedConvolution, LeavesItsInputAsItWas) {
  const Tensor x = at::randn({2, 9, 9, 8}), before = x.clone();
  const PackedConvolution layer(at::randn({8, 8, 3, 3}), at::randn({8}), {1, 1}, 1, {2, 8, 9, 9});
  layer(x, true);
  EXPECT_TRUE(at::equal(x, before));
}

}  // namespace
}  // namespace diffit::kernels

#include <cmath>

#include "kernels/ops.h"
#include "kernels/testing.h"
#include "runtime/pch.h"

namespace diffit::kernels {
namespace {

using at::Tensor;
using testing::epsilon;
using testing::expect_close;

constexpr at::ScalarType types[] = {at::kFloat, at::kBFloat16};

TEST(GeluTanh, AgreesWithDefinitionInFloat64) {
  for (const std::int64_t count : {1, 15, 16, 1000003}) {
    for (const at::ScalarType type : types) {
      at::manual_seed(1);
      const Tensor x = (at::randn({count}) * 4).to(type), d_y = at::randn_like(x);
      const auto want = testing::with_gradients([](const auto& in) { return definition::gelu_tanh(in[0]); },
                                                {x}, d_y, at::kDouble);
      const auto got = testing::with_gradients([](const auto& in) { return gelu_tanh(in[0]); }, {x}, d_y);
      ASSERT_EQ(got[0].scalar_type(), type);
      const Tensor wide = x.to(at::kDouble),
                   exponent = (1.5957691216 * (wide + 0.044715 * wide.pow(3))).abs();
      // An exponential's relative error is that of its argument times the argument. The definition's own
      // 1 + tanh(u) loses digits below zero, even in float64.
      const Tensor floor = 16 * epsilon(at::kDouble) * (1 + wide.abs()) * (1 + exponent);
      const Tensor relative = epsilon(at::kFloat) * (8 + 4 * exponent);
      const std::string name = fmt::format("{} numbers {}", count, c10::toString(type));
      expect_close(got[0], want[0], (relative + epsilon(type)) * want[0].abs() + floor, name + " y");
      const Tensor parts = (want[0] / wide).abs() * (1 + exponent * 3);  // s and x s (1 - s) (2u)'
      expect_close(got[1], want[1],
                   relative * parts * d_y.abs() + epsilon(type) * want[1].abs() + floor * d_y.abs(),
                   name + " d_x");
    }
  }
}

TEST(GeluTanh, IsRightAtTheEndsOfFloat32) {
  const Tensor x =
      at::tensor({-3e38F, -1e20F, -100.0F, -0.0F, 0.0F, 100.0F, 1e20F, 3e38F}).requires_grad_(true);
  const Tensor y = gelu_tanh(x);
  y.backward(at::ones_like(y));
  EXPECT_TRUE(at::equal(y.detach(), at::tensor({0.0F, 0.0F, 0.0F, 0.0F, 0.0F, 100.0F, 1e20F, 3e38F})));
  EXPECT_TRUE(at::equal(x.grad(), at::tensor({0.0F, 0.0F, 0.0F, 0.5F, 0.5F, 1.0F, 1.0F, 1.0F})));
  EXPECT_TRUE(gelu_tanh(at::full({20}, std::nan(""))).isnan().all().item<bool>());
}

TEST(GeluTanh, DoesNotDependOnThreadsOrBatch) {
  const Tensor x = at::randn({5, 20011}), d_y = at::randn_like(x);
  testing::expect_independent_of_threads(
      [&] { return testing::with_gradients([](const auto& in) { return gelu_tanh(in[0]); }, {x}, d_y); },
      "gelu");
  testing::expect_independent_of_batch(&gelu_tanh, x, "gelu");
}

TEST(Upsample2, AgreesWithDefinition) {
  const std::vector<std::int64_t> shapes[] = {{1, 1, 1, 1}, {2, 3, 5, 7}, {3, 8, 4, 64}, {2, 2, 2, 20}};
  for (const std::vector<std::int64_t>& shape : shapes) {
    for (const at::ScalarType type : types) {
      at::manual_seed(2);
      const Tensor x = at::randn(shape).to(type);
      const Tensor d_y = at::randn({shape[0], 2 * shape[1], 2 * shape[2], shape[3]}).to(type);
      const auto want = testing::with_gradients([](const auto& in) { return definition::upsample2(in[0]); },
                                                {x}, d_y, at::kDouble);
      const auto got = testing::with_gradients([](const auto& in) { return upsample2(in[0]); }, {x}, d_y);
      EXPECT_TRUE(at::equal(got[0].to(at::kDouble), want[0]));
      const double sum_of_four = 4 * d_y.to(at::kDouble).abs().max().item<double>();
      expect_close(got[1], want[1], 3 * epsilon(at::kFloat) * sum_of_four + epsilon(type) * want[1].abs(),
                   fmt::format("d_x of [{}] {}", fmt::join(shape, ", "), c10::toString(type)));
    }
  }
}

TEST(Upsample2, DoesNotDependOnThreads) {
  const Tensor x = at::randn({3, 16, 16, 24}), d_y = at::randn({3, 32, 32, 24});
  testing::expect_independent_of_threads(
      [&] { return testing::with_gradients([](const auto& in) { return upsample2(in[0]); }, {x}, d_y); },
      "upsample2");
}

}  // namespace
}  // namespace diffit::kernels

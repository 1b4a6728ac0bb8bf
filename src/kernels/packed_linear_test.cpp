#include "kernels/packed_linear.h"

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

constexpr at::ScalarType types[] = {at::kFloat, at::kBFloat16};

struct Layer {
  std::int64_t rows, in, out;
  bool bias;
};
// One row, odd sizes, the usual size, and many more rows than it was packed for.
constexpr Layer layers[] = {{1, 7, 5, true}, {3, 33, 20, false}, {64, 96, 288, true}, {500, 72, 144, true}};
constexpr std::int64_t usual_rows = 64;

struct Inputs {
  Tensor x, weight, bias, residual;
};

Inputs make_inputs(const Layer& c, at::ScalarType type) {
  at::manual_seed(21);
  return {at::randn({2, c.rows, c.in}).to(type), at::randn({c.out, c.in}).to(type),
          c.bias ? at::randn({c.out}).to(type) : Tensor(), at::randn({2, c.rows, c.out}).to(type)};
}

/// A sum of in + 1 terms in float32 in any order (Higham and Mary 2019, lambda = 4), on the norms of its
/// factors.
double sum_error(const Layer& c, const Inputs& in) {
  const double x = in.x.to(at::kDouble).norm(2, -1).max().item<double>() + 1;
  const double w = in.weight.to(at::kDouble).norm(2, -1).max().item<double>() + 5;
  return 4 * epsilon(at::kFloat) * (std::sqrt(static_cast<double>(c.in + 1)) + 2) * x * w;
}

TEST(PackedLinear, AgreesWithDefinitionInFloat64) {
  for (const Layer& c : layers) {
    for (const at::ScalarType type : types) {
      const Inputs in = make_inputs(c, type);
      const PackedLinear layer(in.weight, in.bias, usual_rows);
      EXPECT_EQ(layer.packed(), onednn_takes(type));
      const Tensor product = definition::linear(in.x.to(at::kDouble), in.weight.to(at::kDouble),
                                                in.bias.defined() ? in.bias.to(at::kDouble) : Tensor());
      const Tensor activated = definition::gelu_tanh(product), added = product + in.residual.to(at::kDouble);
      const double bound = sum_error(c, in);
      const auto rounding = [&](const Tensor& x) { return epsilon(type) * x.abs(); };
      const std::string name = fmt::format("{}x{} to {} {}", c.rows, c.in, c.out, c10::toString(type));

      EXPECT_EQ(layer(in.x).scalar_type(), type);
      expect_close(layer(in.x), product, bound + 1.01 * rounding(product), name);
      // GELU's slope is below 1.13; its argument may have been rounded, and its own formula is off by a few
      // units.
      expect_close(layer.gelu_tanh(in.x), activated,
                   1.13 * (bound + rounding(product)) + 1.01 * rounding(activated) + 8 * epsilon(at::kFloat),
                   name + " gelu");
      expect_close(layer.add_to(in.residual, in.x), added,
                   bound + 1.01 * (rounding(product) + rounding(added)), name + " add");
    }
  }
}

TEST(PackedLinear, FallsBackToTheDefinition) {
  const Inputs in = make_inputs(layers[2], at::kFloat);
  use_fast_kernels(false);
  const PackedLinear layer(in.weight, in.bias, usual_rows);
  use_fast_kernels(true);
  EXPECT_FALSE(layer.packed());
  const Tensor product = definition::linear(in.x, in.weight, in.bias);
  EXPECT_TRUE(at::equal(layer(in.x), product));
  EXPECT_TRUE(at::equal(layer.gelu_tanh(in.x), definition::gelu_tanh(product)));
  EXPECT_TRUE(at::equal(layer.add_to(in.residual, in.x), in.residual + product));
}

TEST(PackedLinear, LeavesTheResidualAsItWas) {
  const Inputs in = make_inputs(layers[2], at::kFloat);
  const Tensor before = in.residual.clone();
  PackedLinear(in.weight, in.bias, usual_rows).add_to(in.residual, in.x);
  EXPECT_TRUE(at::equal(in.residual, before));
}

}  // namespace
}  // namespace diffit::kernels

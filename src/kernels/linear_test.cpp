#include <cmath>

#include "kernels/ops.h"
#include "kernels/testing.h"
#include "runtime/autocast.h"
#include "runtime/pch.h"

namespace diffit::kernels {
namespace {

using at::Tensor;
using testing::epsilon;
using testing::expect_close;

constexpr at::ScalarType types[] = {at::kFloat, at::kBFloat16};

/// A sum of `terms` products of numbers of these norms, added in float32 in any order (Higham and Mary 2019,
/// with lambda = 4): the error is that of the roots of both.
double product_error(std::int64_t terms, double a, double b) {
  return 4 * epsilon(at::kFloat) * (std::sqrt(static_cast<double>(terms)) + 2) * a * b;
}

double largest_norm(const Tensor& x, std::int64_t axis) {
  return x.to(at::kDouble).norm(2, axis).max().item<double>();
}

struct Layer {
  std::int64_t rows, in, out;
  bool bias;
};
constexpr Layer layers[] = {{1, 7, 1, true},      {2, 1, 7, true},     {3, 5, 7, false},
                            {64, 32, 96, true},   {50, 144, 33, true}, {17, 128, 64, false},
                            {256, 256, 16, true}, {700, 48, 20, true}};

TEST(Linear, AgreesWithDefinitionInFloat64) {
  for (const Layer& c : layers) {
    for (const at::ScalarType type : types) {
      at::manual_seed(11);
      std::vector<Tensor> inputs = {at::randn({2, c.rows, c.in}).to(type), at::randn({c.out, c.in}).to(type)};
      if (c.bias) inputs.push_back(at::randn({c.out}).to(type));
      const Tensor d_y = at::randn({2, c.rows, c.out}).to(type);
      const auto bias = [&](const auto& in) { return c.bias ? in[2] : Tensor(); };
      const auto want =
          testing::with_gradients([&](const auto& in) { return definition::linear(in[0], in[1], bias(in)); },
                                  inputs, d_y, at::kDouble);
      const auto got = testing::with_gradients([&](const auto& in) { return linear(in[0], in[1], bias(in)); },
                                               inputs, d_y);

      const double x = largest_norm(inputs[0], -1), w = largest_norm(inputs[1], -1),
                   wt = largest_norm(inputs[1], 0);
      const double g = largest_norm(d_y, -1), gt = largest_norm(d_y.flatten(0, 1), 0);
      const double xt = largest_norm(inputs[0].flatten(0, 1), 0), n = static_cast<double>(2 * c.rows);
      const double bounds[] = {product_error(c.in + 1, x + 1, w + 5), product_error(c.out, g, wt),
                               product_error(2 * c.rows, gt, xt),
                               product_error(2 * c.rows, gt, std::sqrt(n))};
      const char* names[] = {"y", "d_x", "d_weight", "d_bias"};
      for (std::size_t i = 0; i < got.size(); ++i) {
        EXPECT_EQ(got[i].scalar_type(), type);
        expect_close(got[i], want[i], bounds[i] + 1.01 * epsilon(type) * want[i].abs(),
                     fmt::format("{}x{} to {} {} {}", c.rows, c.in, c.out, c10::toString(type), names[i]));
      }
    }
  }
}

TEST(Linear, GivesARowTheSameAloneAsInABatchForAnyThreadCount) {
  for (const Layer& c : layers) {
    for (const at::ScalarType type : types) {
      at::manual_seed(12);
      const Tensor x = at::randn({9, c.rows, c.in}).to(type), w = at::randn({c.out, c.in}).to(type);
      const Tensor b = c.bias ? at::randn({c.out}).to(type) : Tensor();
      const std::string name = fmt::format("{}x{} to {} {}", c.rows, c.in, c.out, c10::toString(type));
      const auto operation = [&](const Tensor& in) { return linear(in, w, b); };
      testing::expect_independent_of_batch(operation, x, name);
      testing::expect_independent_of_threads([&] { return std::vector<Tensor>{operation(x)}; }, name);
    }
  }
}

TEST(Linear, UnderAutocastIsTheLowerPrecisionAndItsGradientsReachTheWeights) {
  const Tensor x = at::randn({4, 16, 24}).requires_grad_(true), w = at::randn({8, 24}).requires_grad_(true);
  const Tensor b = at::randn({8}).requires_grad_(true);
  Tensor y;
  {
    const Autocast autocast(at::kCPU, at::kBFloat16);
    y = linear(x, w, b);
  }
  EXPECT_EQ(y.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(at::equal(y, linear(x.to(at::kBFloat16), w.to(at::kBFloat16), b.to(at::kBFloat16))));
  y.sum().backward();
  for (const Tensor& leaf : {x, w, b}) {
    ASSERT_TRUE(leaf.grad().defined());
    EXPECT_EQ(leaf.grad().scalar_type(), at::kFloat);
    EXPECT_GT(leaf.grad().abs().sum().item<float>(), 0);
  }
}

struct Map {
  std::int64_t batch, height, width, in, out, kernel, stride;
};
constexpr Map maps[] = {{1, 1, 1, 3, 5, 3, 1},   {2, 6, 4, 4, 8, 3, 1},    {3, 8, 8, 16, 32, 3, 2},
                        {2, 5, 7, 20, 12, 1, 1}, {2, 16, 16, 1, 32, 3, 1}, {17, 4, 4, 32, 3, 3, 1}};

std::string name_of(const Map& c, at::ScalarType type) {
  return fmt::format("B{} {}x{}x{} to {} kernel {} stride {} {}", c.batch, c.height, c.width, c.in, c.out,
                     c.kernel, c.stride, c10::toString(type));
}

std::vector<Tensor> inputs_of(const Map& c, at::ScalarType type) {
  at::manual_seed(13);
  return {at::randn({c.batch, c.height, c.width, c.in}).to(type),
          at::randn({c.out, c.in, c.kernel, c.kernel}).to(type).contiguous(at::MemoryFormat::ChannelsLast),
          at::randn({c.out}).to(type)};
}

TEST(Conv2d, AgreesWithDefinitionInFloat64) {
  for (const Map& c : maps) {
    for (const at::ScalarType type : types) {
      const std::vector<Tensor> inputs = inputs_of(c, type);
      const Tensor like = definition::conv2d(inputs[0], inputs[1], inputs[2], c.stride);
      const Tensor d_y = at::randn_like(like);
      const auto want = testing::with_gradients(
          [&](const auto& in) { return definition::conv2d(in[0], in[1], in[2], c.stride); }, inputs, d_y,
          at::kDouble);
      const auto got = testing::with_gradients(
          [&](const auto& in) { return conv2d(in[0], in[1], in[2], c.stride); }, inputs, d_y);

      const std::int64_t taps = c.kernel * c.kernel, pixels = c.batch * c.height * c.width;
      const auto largest = [](const Tensor& x) { return x.to(at::kDouble).abs().max().item<double>(); };
      const double x = largest(inputs[0]), w = largest(inputs[1]), g = largest(d_y);
      const auto error = [&](std::int64_t terms, double a, double b) {
        const double root = std::sqrt(static_cast<double>(terms));
        return product_error(terms, root * a, b);
      };
      const double bounds[] = {error(taps * c.in + 1, x + 1, w + 1), error(taps * c.out, g, w),
                               error(pixels, g, x), error(pixels, g, 1)};
      const char* names[] = {"y", "d_x", "d_weight", "d_bias"};
      for (std::size_t i = 0; i < got.size(); ++i) {
        EXPECT_EQ(got[i].scalar_type(), type);
        expect_close(got[i], want[i], bounds[i] + 1.01 * epsilon(type) * want[i].abs(),
                     name_of(c, type) + " " + names[i]);
      }
    }
  }
}

TEST(Conv2d, GivesASampleTheSameAloneAsInABatchForAnyThreadCount) {
  for (const Map& c : maps) {
    for (const at::ScalarType type : types) {
      const std::vector<Tensor> in = inputs_of(c, type);
      const auto operation = [&](const Tensor& x) { return conv2d(x, in[1], in[2], c.stride); };
      testing::expect_independent_of_batch(operation, in[0], name_of(c, type));
      testing::expect_independent_of_threads([&] { return std::vector<Tensor>{operation(in[0])}; },
                                             name_of(c, type));
    }
  }
}

TEST(Conv2d, GivesAMapThatIsContiguous) {
  for (const Map& c : maps) {
    const std::vector<Tensor> in = inputs_of(c, at::kFloat);
    EXPECT_TRUE(conv2d(in[0], in[1], in[2], c.stride).is_contiguous()) << name_of(c, at::kFloat);
  }
}

}  // namespace
}  // namespace diffit::kernels

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

// Rounding grows with the square root of the number of terms (Higham and Mary 2019, with lambda = 4), times
// the largest magnitudes of what is added.
constexpr double lambda = 4;

double largest(const Tensor& x) {
  return x.to(at::kDouble).abs().max().item<double>();
}

Tensor rounding(const Tensor& x, at::ScalarType type) {
  return epsilon(type) * x.abs();
}

struct Rows {
  std::int64_t rows, width;
};
// One number a row, less than a vector, vectors with and without a rest, the latent model's width.
constexpr Rows row_cases[] = {{3, 1}, {7, 5}, {64, 32}, {5, 33}, {130, 144}, {2, 1152}};

TEST(LayerNorm, AgreesWithDefinitionInFloat64) {
  for (const Rows& c : row_cases) {
    for (const at::ScalarType type : types) {
      at::manual_seed(3);
      const double eps = 1e-6;
      const Tensor x = (at::randn({1, c.rows, c.width}) * 2 + 1).to(type), d_y = at::randn_like(x);
      const auto want = testing::with_gradients(
          [&](const auto& in) { return definition::layer_norm(in[0], eps); }, {x}, d_y, at::kDouble);
      const auto got =
          testing::with_gradients([&](const auto& in) { return layer_norm(in[0], eps); }, {x}, d_y);
      ASSERT_EQ(got[0].scalar_type(), type);
      ASSERT_EQ(got[1].scalar_type(), type);

      const Tensor wide = x.to(at::kDouble);
      const Tensor inverse = (wide.var(-1, /*unbiased=*/false, /*keepdim=*/true) + eps).rsqrt();
      const double n = largest(want[0]) + 1, step = lambda * epsilon(at::kFloat) * (std::sqrt(c.width) + 4);
      const std::string name = fmt::format("{} rows of {} {}", c.rows, c.width, c10::toString(type));
      // The mean is rounded relative to the numbers themselves, and the deviation inherits that.
      const Tensor forward = step * (n + largest(x) * inverse) * n;
      expect_close(got[0], want[0], forward + rounding(want[0], type), name + " y");
      expect_close(got[1], want[1], forward * inverse * largest(d_y) * (n + 2) + rounding(want[1], type),
                   name + " d_x");
    }
  }
}

TEST(AddLayerNorm, AgreesWithDefinitionInFloat64) {
  for (const Rows& c : row_cases) {
    for (const at::ScalarType type : types) {
      at::manual_seed(4);
      const double eps = 1e-6;
      const Tensor before = at::randn({1, c.rows, c.width}) * 2 + 1, added = at::randn_like(before).to(type);
      Tensor stream = before.clone(), exact = before.to(at::kDouble);
      const Tensor got = add_layer_norm(stream, added, eps);
      const Tensor want = definition::add_layer_norm(exact, added.to(at::kDouble), eps);
      ASSERT_EQ(got.scalar_type(), type);

      const std::string name = fmt::format("{} rows of {} {}", c.rows, c.width, c10::toString(type));
      expect_close(stream, exact, rounding(exact, at::kFloat), name + " stream");
      const Tensor inverse = (exact.var(-1, /*unbiased=*/false, /*keepdim=*/true) + eps).rsqrt();
      const double n = largest(want) + 1, step = lambda * epsilon(at::kFloat) * (std::sqrt(c.width) + 5);
      expect_close(got, want, step * (n + largest(exact) * inverse) * n + rounding(want, type), name + " y");
    }
  }
}

TEST(LayerNorm, DoesNotDependOnThreadsOrBatch) {
  for (const at::ScalarType type : types) {
    const Tensor x = at::randn({9, 50, 40}).to(type), d_y = at::randn_like(x);
    const auto operation = [](const Tensor& in) { return layer_norm(in, 1e-6); };
    testing::expect_independent_of_threads(
        [&] { return testing::with_gradients([&](const auto& in) { return operation(in[0]); }, {x}, d_y); },
        "layer_norm");
    testing::expect_independent_of_batch(operation, x, "layer_norm");
  }
}

struct Groups {
  std::int64_t batch, height, width, channels, groups;
};
// Groups of one channel, of one pixel, channels with and without a rest, more samples than threads.
constexpr Groups group_cases[] = {{1, 1, 1, 8, 2},   {2, 3, 5, 4, 1},    {3, 8, 8, 32, 8},
                                  {5, 4, 4, 20, 20}, {2, 16, 8, 72, 18}, {2, 7, 7, 128, 32}};

std::string name_of(const Groups& c, at::ScalarType type, bool silu) {
  return fmt::format("B{} {}x{}x{} in {} groups{} {}", c.batch, c.height, c.width, c.channels, c.groups,
                     silu ? " with silu" : "", c10::toString(type));
}

TEST(GroupNorm, AgreesWithDefinitionInFloat64) {
  for (const Groups& c : group_cases) {
    for (const at::ScalarType type : types) {
      for (const bool silu : {false, true}) {
        at::manual_seed(5);
        const double eps = 1e-5;
        const Tensor x = (at::randn({c.batch, c.height, c.width, c.channels}) * 2 + 1).to(type);
        const Tensor weight = at::randn({c.channels}), bias = at::randn({c.channels}),
                     d_y = at::randn_like(x);
        const auto want = testing::with_gradients(
            [&](const auto& in) { return definition::group_norm(in[0], c.groups, in[1], in[2], eps, silu); },
            {x, weight, bias}, d_y, at::kDouble);
        const auto got = testing::with_gradients(
            [&](const auto& in) { return group_norm(in[0], c.groups, in[1], in[2], eps, silu); },
            {x, weight, bias}, d_y);
        ASSERT_EQ(got[0].scalar_type(), type);
        ASSERT_EQ(got[1].scalar_type(), type);
        ASSERT_EQ(got[2].scalar_type(), at::kFloat);

        const Tensor grouped = x.to(at::kDouble).reshape({c.batch, -1, c.groups, c.channels / c.groups});
        const Tensor deviation = (grouped.var({1, 3}, /*unbiased=*/false, /*keepdim=*/true) + eps).sqrt();
        const double inverse = 1 / deviation.min().item<double>();
        const double n = ((grouped - grouped.mean({1, 3}, true)) / deviation).abs().max().item<double>() + 1;
        const double w = largest(weight), z = n * w + largest(bias), slope = silu ? 1.1 : 1.0;
        const double each = static_cast<double>(c.height * c.width * c.channels / c.groups);
        const double all = static_cast<double>(c.batch * c.height * c.width);
        const double step = lambda * epsilon(at::kFloat) * (std::sqrt(each) + 8) * (n + largest(x) * inverse);
        const double dz = slope * largest(d_y);
        const double d_dz = (silu ? largest(d_y) * (1 + z) : 0) * step * w;  // of dz, by the error of z
        const std::string name = name_of(c, type, silu);
        expect_close(got[0], want[0], slope * step * z + rounding(want[0], type), name + " y");
        expect_close(got[1], want[1],
                     (step * dz + d_dz) * w * inverse * (2 + n * n) + rounding(want[1], type), name + " d_x");
        expect_close(got[2], want[2], (step * dz * n + d_dz * n) * std::sqrt(all), name + " d_weight");
        expect_close(got[3], want[3], (step * dz + d_dz) * std::sqrt(all), name + " d_bias");
      }
    }
  }
}

TEST(GroupNorm, DoesNotDependOnThreadsOrBatch) {
  for (const at::ScalarType type : types) {
    const Tensor x = at::randn({9, 8, 8, 32}).to(type), weight = at::randn({32}), bias = at::randn({32});
    const Tensor d_y = at::randn_like(x);
    const auto all = [&] {
      return testing::with_gradients(
          [](const auto& in) { return group_norm(in[0], 8, in[1], in[2], 1e-5, true); }, {x, weight, bias},
          d_y);
    };
    testing::expect_independent_of_threads(all, "group_norm");
    testing::expect_independent_of_batch(
        [&](const Tensor& in) { return group_norm(in, 8, weight, bias, 1e-5, true); }, x, "group_norm");
  }
}

TEST(GroupNorm, KeepsItsPrecisionFarFromZero) {
  const Tensor x = at::randn({2, 8, 8, 16}) + 1000, one = at::ones({16}), zero = at::zeros({16});
  const Tensor want =
      definition::group_norm(x.to(at::kDouble), 4, one.to(at::kDouble), zero.to(at::kDouble), 1e-5, false);
  // The numbers themselves are known to 1000 * 2^-24; a variance from sums of squares would lose 1e6 * 2^-24.
  expect_close(group_norm(x, 4, one, zero, 1e-5, false), want, 16 * 1000 * epsilon(at::kFloat), "mean 1000");
}

// Squares of one size, added one by one, are all rounded the same way: half a million of them lose 2^-12.
// In blocks of 1024 pixels, two sums each, n terms lose at most n u: 512 in a sum, 1024 of the blocks; half
// of that of the deviation, and some roundings of the result.
TEST(GroupNorm, KeepsItsPrecisionOnLargeMaps) {
  const Tensor x = (at::rand({1, 1024, 1024, 4}) > 0.5).to(at::kFloat) * 2.0006 - 1.0003;
  const Tensor one = at::ones({4}), zero = at::zeros({4});
  const Tensor want =
      definition::group_norm(x.to(at::kDouble), 4, one.to(at::kDouble), zero.to(at::kDouble), 1e-6, false);
  expect_close(group_norm(x, 4, one, zero, 1e-6, false), want,
               ((512 + 1024) / 2 + 4) * epsilon(at::kFloat) * largest(want), "a million pixels");
}

}  // namespace
}  // namespace diffit::kernels

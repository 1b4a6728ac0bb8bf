#include "diffusion/guidance.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "kernels/testing.h"

namespace diffit::diffusion {
namespace {

TEST(Guidance, ScheduleMatchesReleasedCode) {
  const Guidance g{.scale = 4.4, .power_cosine = true};
  EXPECT_DOUBLE_EQ(g.scale_at(0, 1000), 4.4);
  EXPECT_DOUBLE_EQ(g.scale_at(1000, 1000), 1);
  EXPECT_NEAR(g.scale_at(500, 1000), 1 + 3.4 * 0.5 * (1 - std::cos(std::numbers::pi / 16)), 1e-15);
  EXPECT_DOUBLE_EQ((Guidance{.scale = 1.49}).scale_at(700, 1000), 1.49);
}

// The released sampling code in float32: the first three channels are guided, the others are unchanged.
TEST(Guidance, ArithmeticMatchesReleasedCode) {
  at::Generator generator = at::detail::createCPUGenerator(1);
  const at::Tensor main = at::randn({3, 4, 2, 2}, generator, at::TensorOptions(at::kFloat));
  const at::Tensor weak = at::randn({3, 4, 2, 2}, generator, at::TensorOptions(at::kFloat));
  const Guidance g{.scale = 4.4, .power_cosine = true, .channels = 3};
  const at::Tensor t = at::tensor({0.0F, 333.0F, 900.0F});
  const at::Tensor k = 0.5 * (1 - at::cos((1 - t / 1000).pow(4) * std::numbers::pi));
  const at::Tensor released_scale = ((4.4 - 1) * k + 1).view({-1, 1, 1, 1});
  const at::Tensor released =
      at::cat({weak.narrow(1, 0, 3) + released_scale * (main.narrow(1, 0, 3) - weak.narrow(1, 0, 3)),
               main.narrow(1, 3, 1)},
              1);
  at::Tensor scale = at::empty({3}, at::kDouble);
  for (std::int64_t b = 0; b < 3; ++b) scale[b] = g.scale_at(t[b].item<double>(), 1000);
  // Rounding of numbers up to 4.4 (|main| + |weak|) in the reference, and of its cosine near 1: 8 u.
  const double bound =
      8 * testing::epsilon(at::kFloat) * 5 * (main.abs().max() + weak.abs().max()).item<double>();
  testing::expect_close(guided(g, main.to(at::kDouble), weak.to(at::kDouble), scale), released, bound,
                        "guided");
}

TEST(Guidance, IsActiveInsideIntervalOnly) {
  const auto scales = [](Guidance::Axis axis, double low, double high, std::vector<double> at) {
    const Guidance g{.scale = 2, .axis = axis, .low = low, .high = high};
    std::vector<double> found;
    for (const double x : at) found.push_back(g.scale_at(NoiseLevel{.sigma = x, .t = x, .step = x}));
    return found;
  };
  using Scales = std::vector<double>;
  EXPECT_EQ(scales(Guidance::Axis::sigma, 1, 3, {0.5, 1, 2, 3, 4}), (Scales{1, 1, 2, 2, 1}));
  EXPECT_EQ(scales(Guidance::Axis::timestep, 1, 3, {0, 1, 2, 3, 4}), (Scales{1, 2, 2, 2, 1}));
  EXPECT_EQ(scales(Guidance::Axis::step, 0.25, 0.5, {0, 0.25, 0.4, 0.5, 0.9}), (Scales{1, 2, 2, 1, 1}));
}

TEST(Guidance, CountsBeyondTolerance) {
  const Guidance g{.scale = 2, .tolerance = 1e-3};
  EXPECT_FALSE(g.counts(1));
  EXPECT_FALSE(g.counts(1.0009));
  EXPECT_TRUE(g.counts(1.0011));
  EXPECT_TRUE(g.counts(0.9));
  EXPECT_TRUE((Guidance{.scale = 2, .tolerance = 0}).counts(1.0000001));
  EXPECT_FALSE((Guidance{.scale = 2, .tolerance = 0}).counts(1));
}

}  // namespace
}  // namespace diffit::diffusion

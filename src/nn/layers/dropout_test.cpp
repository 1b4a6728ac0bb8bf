#include "nn/layers/dropout.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "runtime/pch.h"

namespace diffit::nn {
namespace {

constexpr double kRate = 0.13;

at::Tensor mask(const Dropout& dropout, at::IntArrayRef shape) {
  return apply_dropout(at::ones(shape), dropout);
}

TEST(Dropout, ZeroesExpectedShareAndKeepsMean) {
  const std::int64_t n = 4 * 32 * 32 * 25;
  const at::Tensor y = mask({kRate, 1, 0, 0}, {4, 32, 32, 25});
  const double rate = std::round(kRate * 65536) / 65536;
  const double zeros = y.eq(0).sum().item<double>();
  // Five standard deviations of a binomial count.
  EXPECT_NEAR(zeros, n * rate, 5 * std::sqrt(n * rate * (1 - rate)));
  EXPECT_EQ(y.max().item<float>(), static_cast<float>(1 / (1 - rate)));
  EXPECT_EQ(y.ne(0).sum().item<double>() + zeros, n);
}

TEST(Dropout, MaskDoesNotDependOnBatch) {
  const at::Tensor whole = mask({kRate, 1, 10, 2}, {6, 3, 3, 5});
  EXPECT_TRUE(at::equal(whole.narrow(0, 0, 2), mask({kRate, 1, 10, 2}, {2, 3, 3, 5})));
  EXPECT_TRUE(at::equal(whole.narrow(0, 2, 4), mask({kRate, 1, 12, 2}, {4, 3, 3, 5})));
}

TEST(Dropout, ImagesPlacesAndSeedsHaveIndependentMasks) {
  const std::vector<std::int64_t> shape = {1, 4096};
  const double rate = kRate;
  const at::Tensor first = mask({rate, 1, 0, 0}, shape).eq(0);
  for (const Dropout& other :
       {Dropout{rate, 1, 1, 0}, Dropout{rate, 1, 0, 1}, Dropout{rate, 2, 0, 0}, Dropout{rate, 1, 0, 4095}}) {
    const double both = (first & mask(other, shape).eq(0)).sum().item<double>();
    const double expected = 4096 * rate * rate;
    EXPECT_NEAR(both, expected, 5 * std::sqrt(expected));
  }
}

TEST(Dropout, ReturnsInputForZeroRate) {
  const at::Tensor x = at::ones({2, 3});
  EXPECT_TRUE(apply_dropout(x, {}).is_same(x));
}

TEST(Dropout, GradientsUseForwardMask) {
  at::Tensor x = at::full({2, 50}, 3.0F);
  x.requires_grad_(true);
  const at::Tensor y = apply_dropout(x, {0.5, 1, 0, 0});
  y.sum().backward();
  EXPECT_TRUE(at::equal(x.grad() * 3, y));
}

}  // namespace
}  // namespace diffit::nn

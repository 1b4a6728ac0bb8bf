// Comparison against bounds that are derived, for the tests of kernels and of what is built on them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "kernels/pch.h"

namespace diffit::testing {

/// The unit roundoff of the type, half a unit in the last place of 1: 2^-24 for float32, 2^-8 for bfloat16.
inline double epsilon(at::ScalarType type) {
  switch (type) {
    case at::kBFloat16:
      return std::ldexp(1.0, -8);
    case at::kFloat:
      return std::ldexp(1.0, -24);
    default:
      return std::ldexp(1.0, -53);
  }
}

/// Expects |got - want| <= bound element by element (`bound` broadcasts to want); on failure prints the
/// element that exceeds its bound the most.
inline void expect_close(const at::Tensor& got, const at::Tensor& want, const at::Tensor& bound,
                         const std::string& name) {
  ASSERT_TRUE(got.defined()) << name << " is undefined";
  ASSERT_EQ(got.sizes(), want.sizes()) << name;
  ASSERT_GT(want.numel(), 0) << name << " is empty";
  const at::Tensor g = got.detach().to(at::kDouble).reshape({-1}),
                   w = want.detach().to(at::kDouble).reshape({-1});
  const at::Tensor b = bound.detach().to(at::kDouble).expand(want.sizes()).reshape({-1});
  const at::Tensor excess = ((g - w).abs() / b).nan_to_num(std::numeric_limits<double>::infinity());
  const std::int64_t worst = excess.argmax().item<std::int64_t>();
  EXPECT_LE(excess[worst].item<double>(), 1.0) << fmt::format(
      "{}: element {} of shape [{}]: got {:.9g}, wanted {:.9g}, difference {:.3g}, bound {:.3g}", name, worst,
      fmt::join(want.sizes(), ", "), g[worst].item<double>(), w[worst].item<double>(),
      (g[worst] - w[worst]).abs().item<double>(), b[worst].item<double>());
}

inline void expect_close(const at::Tensor& got, const at::Tensor& want, double bound,
                         const std::string& name) {
  expect_close(got, want, at::full({}, bound, at::kDouble), name);
}

}  // namespace diffit::testing

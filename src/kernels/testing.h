// Comparison with derived bounds, for tests of kernels and of networks that use them.
#pragma once

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "runtime/pch.h"

namespace diffit::testing {

using namespace kernels;

/// Unit roundoff of the dtype, half a unit in the last place of 1: 2^-24 for float32, 2^-8 for bfloat16.
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
  const at::Tensor difference = (g - w).abs();
  const at::Tensor excess =
      (difference / b.where(difference != 0, 1)).nan_to_num(std::numeric_limits<double>::infinity());
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

/// Returns the output of `operation` on copies of the inputs (converted to `type` if given), followed by the
/// gradient of each input for the output gradient d_out.
inline std::vector<at::Tensor> with_gradients(
    const std::function<at::Tensor(const std::vector<at::Tensor>&)>& operation,
    const std::vector<at::Tensor>& inputs, const at::Tensor& d_out, std::optional<at::ScalarType> type = {}) {
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& x : inputs) {
    leaves.push_back((type ? x.to(*type) : x).detach().clone().requires_grad_(true));
  }
  const at::Tensor out = operation(leaves);
  out.backward(d_out.to(out.scalar_type()));
  std::vector<at::Tensor> results = {out.detach()};
  for (const at::Tensor& leaf : leaves) results.push_back(leaf.grad());
  return results;
}

/// Expects bit-identical results for one, two and three threads, and for repeated runs.
inline void expect_independent_of_threads(const std::function<std::vector<at::Tensor>()>& run,
                                          const std::string& name) {
  const int threads = at::get_num_threads();
  std::vector<at::Tensor> first;
  for (const int count : {1, 2, 2, 3}) {
    at::set_num_threads(count);
    const std::vector<at::Tensor> results = run();
    if (first.empty()) first = results;
    ASSERT_EQ(results.size(), first.size());
    for (std::size_t i = 0; i < results.size(); ++i) {
      EXPECT_TRUE(at::equal(results[i], first[i]))
          << fmt::format("{}: result {} with {} threads", name, i, count);
    }
  }
  at::set_num_threads(threads);
}

/// Expects the output of each sample along the first axis of x to be bit-identical alone and in the batch.
inline void expect_independent_of_batch(const std::function<at::Tensor(const at::Tensor&)>& operation,
                                        const at::Tensor& x, const std::string& name) {
  const at::Tensor together = operation(x);
  for (std::int64_t b = 0; b < x.size(0); ++b) {
    EXPECT_TRUE(at::equal(operation(x.narrow(0, b, 1)), together.narrow(0, b, 1)))
        << fmt::format("{}: sample {}", name, b);
  }
}

}  // namespace diffit::testing

// Random features for the tests of metrics, from a counter-based generator.
#pragma once

#include "base/random.h"
#include "kernels/testing.h"

namespace diffit::testing {

using namespace metrics;

/// Standard normal numbers [N, D] float64; different values of `draw` give independent ones.
inline at::Tensor normals(std::int64_t count, std::int64_t width, std::uint64_t draw) {
  at::Tensor x = at::empty({count, width}, at::kDouble);
  Random random(17, stream_of(Purpose::test, draw));
  double* value = x.mutable_data_ptr<double>();
  for (std::int64_t i = 0; i < x.numel(); ++i) value[i] = random.normal();
  return x;
}

/// Returns a random orthogonal matrix [D, D].
inline at::Tensor rotation(std::int64_t width, std::uint64_t draw) {
  return std::get<0>(at::linalg_qr(normals(width, width, draw)));
}

}  // namespace diffit::testing

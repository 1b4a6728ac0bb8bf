// The Frechet distance of infinitely many samples (Chong and Forsyth 2020, "Effectively unbiased FID and
// inception score and where to find them", section 3).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "metrics/moments.h"

namespace diffit {

struct ExtrapolationOptions {
  std::int64_t points = 15;  // numbers of pictures, evenly spaced up to all of them
  std::uint64_t seed = 0;    // of the subsets
  std::function<void(double share)> progress = {};
};

struct Extrapolation {
  double value = 0;           // the line's value at 1/N = 0
  double slope = 0;           // of the distance over 1/N
  double residual = 0;        // root mean square of what the line leaves, divisor points - 2
  std::int64_t smallest = 0;  // pictures of the first point
};

/// Distances of random subsets of `samples` [N, D] to the reference, and the least-squares line of them in
/// 1/N. The smallest subset has N / 10 pictures, or 2 D where that is more, but at most N / 2. The reference
/// is as it is: what its own number of pictures adds stays in the value. Error(invalid) with fewer than 20
/// samples.
Extrapolation extrapolate_frechet(const at::Tensor& samples, const Gaussian& reference,
                                  const ExtrapolationOptions& options = {});

}  // namespace diffit

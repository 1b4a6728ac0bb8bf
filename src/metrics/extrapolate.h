// Frechet distance extrapolated to infinitely many samples (Chong and Forsyth 2020, "Effectively unbiased FID
// and inception score and where to find them", section 3).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "metrics/moments.h"

namespace diffit::metrics {

/// Parameters of the extrapolation.
struct ExtrapolationOptions {
  std::int64_t points = 15;  // number of subset sizes, evenly spaced up to N; at least 3
  std::uint64_t seed = 0;    // seed of the subsets
  /// Called with the fraction of work done, 0..1.
  std::function<void(double share)> progress = {};
};

/// Fitted line.
struct Extrapolation {
  double value = 0;           // value of the fitted line at 1/N = 0
  double slope = 0;           // slope of the distance over 1/N
  double residual = 0;        // root mean square residual of the fit, with divisor points - 2
  std::int64_t smallest = 0;  // number of images in the smallest subset
};

/// Computes the distances of random subsets of `samples` [N, D] from the reference and fits a line in 1/N by
/// least squares. The smallest subset has max(N / 10, 2 D) images, but at most N / 2. The reference is not
/// extrapolated: the bias from its own number of images remains in the value. Throws Error(invalid) for fewer
/// than 20 samples.
Extrapolation extrapolate_frechet(const at::Tensor& samples, const Gaussian& reference,
                                  const ExtrapolationOptions& options = {});

}  // namespace diffit::metrics

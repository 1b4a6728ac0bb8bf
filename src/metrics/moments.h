// One-pass mean and covariance of features.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "base/layers.h"

namespace diffit::metrics {

/// Mean and covariance of a set of features: the input of a Frechet distance.
struct Gaussian {
  at::Tensor mean;         // [D] float64
  at::Tensor covariance;   // [D, D] float64, divisor N - 1
  std::int64_t count = 0;  // number of images; 0: unknown

  std::int64_t width() const { return mean.defined() ? mean.size(0) : 0; }
};

/// Float64 sums over rows that arrive in batches. Memory is D^2 numbers, independent of the number of rows.
/// Sums are taken about the mean (Chan, Golub and LeVeque 1983, "Algorithms for computing the sample
/// variance", eq. 2.1), so that a mean much larger than the standard deviation loses no precision. Batches
/// may arrive in any order, and accumulators may be merged; the results differ only by rounding. Not
/// thread-safe.
class Moments {
 public:
  explicit Moments(std::int64_t width);

  /// features [B, D], floating point, on the CPU. Throws Error(failed) for another shape or a non-finite
  /// value.
  void add(const at::Tensor& features);
  /// Adds the sums of `other`. Throws Error(failed) if the widths differ.
  void merge(const Moments& other);

  std::int64_t width() const { return mean_.size(0); }
  std::int64_t count() const { return count_; }
  /// Throws Error(invalid) for fewer than two rows, which have no covariance.
  Gaussian gaussian() const;

 private:
  std::int64_t count_ = 0;
  at::Tensor mean_;     // [D]
  at::Tensor scatter_;  // sum of (x - mean) (x - mean)^T
};

}  // namespace diffit::metrics

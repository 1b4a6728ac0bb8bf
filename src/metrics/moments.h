// Mean and covariance of features, in one pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace diffit {

/// What a Frechet distance knows of a set of pictures.
struct Gaussian {
  at::Tensor mean;         // [D] float64
  at::Tensor covariance;   // [D, D] float64, divisor N - 1
  std::int64_t count = 0;  // pictures behind it; 0: not told

  std::int64_t width() const { return mean.defined() ? mean.size(0) : 0; }
};

/// Float64 sums of rows that come in pieces: memory is D^2 numbers, whatever the number of rows. Sums are
/// about the mean (Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance", eq. 2.1), so
/// that a mean that is large beside the deviation costs no digits. Pieces may come in any order, and be
/// summed by several and merged: results differ by rounding alone.
class Moments {
 public:
  explicit Moments(std::int64_t width);

  /// features [B, D], floating point, on the CPU. Error(failed) where one is not finite.
  void add(const at::Tensor& features);
  void merge(const Moments& other);

  std::int64_t width() const { return mean_.size(0); }
  std::int64_t count() const { return count_; }
  /// Error(invalid) with fewer than two rows: there is no covariance.
  Gaussian gaussian() const;

 private:
  std::int64_t count_ = 0;
  at::Tensor mean_;     // [D]
  at::Tensor scatter_;  // [D, D]: the sum of (x - mean) (x - mean)^T
};

}  // namespace diffit

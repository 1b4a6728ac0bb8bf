// Frechet distance between two Gaussians (Dowson and Landau 1982). With Inception features it is FID (Heusel
// et al. 2017, eq. 6).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "metrics/moments.h"

namespace diffit::metrics {

/// d = |m_a - m_b|^2 + tr S_a + tr S_b - 2 tr (S_a S_b)^(1/2) for samples `a` and a reference `b`.
///
/// With S_a = F F^T, the trace of the square root is the sum of the square roots of the eigenvalues of F^T
/// S_b F, which is symmetric. This avoids the square root of a nonsymmetric matrix, imaginary parts, and
/// offsets on the diagonal. F is the Cholesky factor, or is computed from the eigenvectors if S_a is
/// singular. All computation is float64.
class FrechetDistance {
 public:
  /// Throws Error(invalid) if widths differ, or if a covariance is not finite or has negative eigenvalues.
  /// `influence`: keep what influence() needs, which requires eigenvectors in addition to eigenvalues.
  FrechetDistance(const Gaussian& a, const Gaussian& b, bool influence = false);

  /// The distance; never negative.
  double value() const { return value_; }
  /// Ranks of the two covariances at float64 precision.
  std::int64_t rank_a() const { return rank_a_; }
  std::int64_t rank_b() const { return rank_b_; }
  std::int64_t width() const { return mean_.size(0); }

  /// Influence of each image of `a` on the distance: [N] float64 with mean 0. If the weight of image i
  /// changes from 1/N to 1/N + e, the distance changes by e times element i to first order. features [N, D]
  /// are those from which `a` was computed.
  ///     2 (x - m_a)^T (m_a - m_b) + N / (N - 1) (x - m_a)^T (P - T) (x - m_a), centered
  /// Here T transports N(m_a, S_a) to N(m_b, S_b), and P projects onto the range of S_a. Throws Error(failed)
  /// unless the object was constructed with `influence`.
  at::Tensor influence(const at::Tensor& features) const;

 private:
  double value_ = 0;
  std::int64_t rank_a_ = 0, rank_b_ = 0;
  at::Tensor mean_, shift_;  // m_a, m_a - m_b
  at::Tensor transport_;     // N / (N - 1) (P - T) [D, D]; undefined without influence
};

}  // namespace diffit::metrics

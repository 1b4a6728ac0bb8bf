// The Frechet distance of two Gaussians (Dowson and Landau 1982), of Inception's features FID (Heusel et al.
// 2017, eq. 6).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "metrics/moments.h"

namespace diffit {

/// d = |m_a - m_b|^2 + tr S_a + tr S_b - 2 tr (S_a S_b)^(1/2), of samples `a` and a reference `b`.
///
/// With S_a = F F^T the trace of the root is the sum of the roots of the eigenvalues of F^T S_b F, which is
/// symmetric: no root of a matrix that is not, no imaginary part, nothing added to the diagonal. F is
/// Cholesky's factor, or comes of the eigenvectors where S_a is singular. All in float64.
class FrechetDistance {
 public:
  /// Error(invalid) where widths differ, or a covariance is not finite or has negative eigenvalues.
  /// `influence`: keep what influence() needs; costs eigenvectors beside eigenvalues.
  FrechetDistance(const Gaussian& a, const Gaussian& b, bool influence = false);

  /// At least 0.
  double value() const { return value_; }
  /// Ranks of the two covariances, as far as float64 tells.
  std::int64_t rank_a() const { return rank_a_; }
  std::int64_t rank_b() const { return rank_b_; }
  std::int64_t width() const { return mean_.size(0); }

  /// How much each picture of `a` moves the distance: [N] float64, mean 0. The first-order change when the
  /// weight of picture i goes from 1/N to 1/N + e is e times element i. features [N, D]: those `a` was taken
  /// of.
  ///     2 (x - m_a)^T (m_a - m_b) + N / (N - 1) (x - m_a)^T (P - T) (x - m_a), centred
  /// where T carries N(m_a, S_a) to N(m_b, S_b) and P projects onto the range of S_a.
  at::Tensor influence(const at::Tensor& features) const;

 private:
  double value_ = 0;
  std::int64_t rank_a_ = 0, rank_b_ = 0;
  at::Tensor mean_, shift_;  // m_a, m_a - m_b
  at::Tensor transport_;     // N / (N - 1) (P - T) [D, D]; undefined where no influence was asked for
};

}  // namespace diffit

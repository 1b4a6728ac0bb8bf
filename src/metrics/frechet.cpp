#include "metrics/frechet.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace diffit::metrics {

namespace {

/// Relative tolerance below which eigenvalues are rounding error: D u, as in numpy's matrix_rank.
double rank_tolerance(std::int64_t width) {
  return static_cast<double>(width) * std::numeric_limits<double>::epsilon();
}

/// Returns the Cholesky factor if S is positive definite by a margin, otherwise an undefined tensor.
at::Tensor cholesky_factor(const at::Tensor& s) {
  const auto [factor, failed] = at::linalg_cholesky_ex(s);
  if (failed.item<int>() != 0) return {};
  const double smallest = factor.diagonal().square().min().item<double>();
  // A pivot only bounds the smallest eigenvalue from above, so the margin is a thousand times the tolerance.
  return smallest > 1e3 * rank_tolerance(s.size(0)) * s.diagonal().max().item<double>() ? factor
                                                                                        : at::Tensor();
}

/// Number of eigenvalues (ascending) above rounding error. Throws Error(invalid) if one is clearly negative.
std::int64_t count_rank(const at::Tensor& eigenvalues, const char* whose) {
  const double largest = eigenvalues[-1].item<double>(), smallest = eigenvalues[0].item<double>();
  // Programs that accumulate in float32 leave errors of this order in their covariances.
  DIFFIT_CHECK(smallest >= -1e-5 * std::max(largest, 0.0),
               "the {} sigma is not a covariance: it has an eigenvalue {:.3g}, the largest is {:.3g}", whose,
               smallest, largest);
  if (largest <= 0) return 0;
  return eigenvalues.gt(rank_tolerance(eigenvalues.size(0)) * largest).sum().item<std::int64_t>();
}

/// S = factor factor^T and inverse factor = I, with shapes [D, r] and [r, D].
struct Root {
  at::Tensor factor, inverse;
  bool triangular = false;  // if set, `inverse` is left to a triangular solver
};

Root root_of(const at::Tensor& s, const char* whose) {
  if (const at::Tensor factor = cholesky_factor(s); factor.defined()) return {factor, {}, true};
  const auto [values, vectors] = at::linalg_eigh(s);
  const std::int64_t rank = count_rank(values, whose), width = s.size(0);
  const at::Tensor root = values.narrow(0, width - rank, rank).sqrt();
  const at::Tensor kept = vectors.narrow(1, width - rank, rank);
  return {kept * root, (kept / root).t(), false};
}

void check(const Gaussian& g, const char* whose) {
  DIFFIT_CHECK(
      g.covariance.dim() == 2 && g.covariance.size(0) == g.width() && g.covariance.size(1) == g.width(),
      "the {} sigma has shape [{}], but mu has shape [{}]", whose, fmt::join(g.covariance.sizes(), ", "),
      g.width());
  DIFFIT_CHECK(std::isfinite(g.covariance.sum().item<double>()) && std::isfinite(g.mean.sum().item<double>()),
               "the {} mu or sigma contains NaN or infinity", whose);
}

}  // namespace

FrechetDistance::FrechetDistance(const Gaussian& a, const Gaussian& b, bool influence) : mean_(a.mean) {
  check(a, "samples'");
  check(b, "reference's");
  DIFFIT_CHECK(a.width() == b.width(),
               "samples have {} features, the reference {}: they come from different networks", a.width(),
               b.width());
  shift_ = a.mean - b.mean;
  const Root root = root_of(a.covariance, "samples'");
  rank_a_ = root.factor.size(1);
  rank_b_ = cholesky_factor(b.covariance).defined()
                ? b.width()
                : count_rank(at::linalg_eigvalsh(b.covariance), "reference's");
  const at::Tensor between = root.factor.t().mm(b.covariance).mm(root.factor);
  at::Tensor values, vectors;
  if (influence) {
    std::tie(values, vectors) = at::linalg_eigh(between);
  } else {
    values = at::linalg_eigvalsh(between);
  }
  // F^T S_b F has at most the smaller of the two ranks. Further eigenvalues are rounding error, but their
  // square roots would not be small.
  const std::int64_t rank = std::min(rank_a_, rank_b_);
  const at::Tensor roots = values.clamp_min(0).sqrt();
  const double root_trace = roots.narrow(0, rank_a_ - rank, rank).sum().item<double>();
  value_ = shift_.square().sum().item<double>() + a.covariance.trace().item<double>() +
           b.covariance.trace().item<double>() - 2 * root_trace;
  value_ = std::max(value_, 0.0);
  if (!influence) return;
  roots.narrow(0, 0, rank_a_ - rank).zero_();
  const at::Tensor middle = (vectors * roots).mm(vectors.t());
  if (root.triangular) {
    // L^-T M L^-1 by two triangular solves; P is the identity.
    const auto solve = [&](const at::Tensor& right) {
      return at::linalg_solve_triangular(root.factor.t(), right, /*upper=*/true);
    };
    transport_ = solve(solve(middle).t()).neg_();
    transport_.diagonal().add_(1);
  } else {
    transport_ = root.factor.mm(root.inverse) - root.inverse.t().mm(middle).mm(root.inverse);
  }
  // A weight of 1/N per image corresponds to a covariance with divisor N - 1.
  if (a.count > 1) transport_.mul_(static_cast<double>(a.count) / static_cast<double>(a.count - 1));
}

at::Tensor FrechetDistance::influence(const at::Tensor& features) const {
  if (!transport_.defined()) fail("the influence of images was not requested");
  const std::int64_t count = features.size(0), block = 4096;
  const at::Tensor moved = at::empty({count}, at::kDouble);
  for (std::int64_t first = 0; first < count; first += block) {
    const at::Tensor x = features.narrow(0, first, std::min(block, count - first)).to(at::kDouble) - mean_;
    moved.narrow(0, first, x.size(0)).copy_((x.mm(transport_) + 2 * shift_).mul_(x).sum(1));
  }
  return moved - moved.mean();
}

}  // namespace diffit::metrics

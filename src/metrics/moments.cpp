#include "metrics/moments.h"

#include <cmath>

#include "base/error.h"

namespace diffit::metrics {

namespace {

/// n_a n_b / (n_a + n_b): the weight of the squared difference of two means.
double between(std::int64_t a, std::int64_t b) {
  return static_cast<double>(a) * static_cast<double>(b) / static_cast<double>(a + b);
}

}  // namespace

Moments::Moments(std::int64_t width)
    : mean_(at::zeros({width}, at::kDouble)), scatter_(at::zeros({width, width}, at::kDouble)) {}

void Moments::add(const at::Tensor& features) {
  if (features.dim() != 2 || features.size(1) != width()) {
    fail("moments: wanted features [B, {}], got [{}]", width(), fmt::join(features.sizes(), ", "));
  }
  const std::int64_t rows = features.size(0);
  if (rows == 0) return;
  const at::Tensor x = features.to(at::kDouble);
  const at::Tensor mean = x.mean(0);
  if (!std::isfinite(mean.sum().item<double>())) {
    fail(
        "features of images {} to {} are not finite: the weights of the feature network are damaged or "
        "belong to another network",
        count_, count_ + rows - 1);
  }
  // The difference of the means is one more row, so that a single product updates the scatter matrix.
  const at::Tensor centred = at::empty({rows + 1, width()}, at::kDouble);
  at::Tensor within = centred.narrow(0, 0, rows), step = centred.select(0, rows);
  at::sub_out(within, x, mean);
  at::sub_out(step, mean, mean_);
  mean_.add_(step, static_cast<double>(rows) / static_cast<double>(count_ + rows));
  step.mul_(std::sqrt(between(count_, rows)));
  scatter_.addmm_(centred.t(), centred);
  count_ += rows;
}

void Moments::merge(const Moments& other) {
  if (other.width() != width())
    fail("moments: wanted the same number of features, got {} and {}", width(), other.width());
  if (other.count_ == 0) return;
  const at::Tensor step = other.mean_ - mean_;
  scatter_.add_(other.scatter_).addr_(step, step, 1, between(count_, other.count_));
  mean_.add_(step, static_cast<double>(other.count_) / static_cast<double>(count_ + other.count_));
  count_ += other.count_;
}

Gaussian Moments::gaussian() const {
  DIFFIT_CHECK(count_ >= 2, "a covariance needs at least two images, there {} {}", count_ == 1 ? "is" : "are",
               count_);
  return {mean_.clone(), scatter_ / static_cast<double>(count_ - 1), count_};
}

}  // namespace diffit::metrics

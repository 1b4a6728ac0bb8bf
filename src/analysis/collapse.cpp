#include "analysis/collapse.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "runtime/pch.h"

namespace diffit::analysis {

namespace {

constexpr std::int64_t kBlock = 1024;

/// `same`: row i of `of` is row i of `in`, and is not counted as its own neighbor.
Neighbours search(const at::Tensor& of, const at::Tensor& in, bool same) {
  DIFFIT_CHECK(of.dim() == 2 && in.dim() == 2 && of.size(1) == in.size(1) && in.size(0) > (same ? 1 : 0),
               "nearest neighbours: wanted two sets with the same number of features, and a second set that "
               "is not empty");
  const at::Tensor norms = in.square().sum(1);
  Neighbours found{at::empty({of.size(0)}, at::kDouble), at::empty({of.size(0)}, at::kLong)};
  for (std::int64_t first = 0; first < of.size(0); first += kBlock) {
    const std::int64_t count = std::min(kBlock, of.size(0) - first);
    const at::Tensor rows = of.narrow(0, first, count);
    at::Tensor distance = at::addmm(norms.unsqueeze(0), rows, in.t(), 1, -2);
    if (same) distance.diagonal(first).fill_(std::numeric_limits<float>::infinity());
    const at::Tensor index = distance.argmin(1);
    // |u|^2 - 2uv + |v|^2 loses the precision of small distances, so they are recomputed from differences.
    const at::Tensor difference = rows.to(at::kDouble) - in.index_select(0, index).to(at::kDouble);
    found.distance.narrow(0, first, count).copy_(difference.square().sum(1).sqrt());
    found.index.narrow(0, first, count).copy_(index);
  }
  return found;
}

Share share_below(const at::Tensor& distances, double bound) {
  Share share{.expected = kExpectedShare, .distance = bound, .counts = distances.lt(bound)};
  const auto n = static_cast<double>(distances.numel());
  share.value = share.counts.sum().item<double>() / n;
  constexpr double z = 1.96;
  const double centre = (share.value + z * z / (2 * n)) / (1 + z * z / n);
  const double reach =
      z / (1 + z * z / n) * std::sqrt(share.value * (1 - share.value) / n + z * z / (4 * n * n));
  share.low = std::max(0.0, centre - reach);
  share.high = std::min(1.0, centre + reach);
  return share;
}

double small_quantile(const at::Tensor& distances) {
  return at::quantile(distances, kExpectedShare).item<double>();
}

/// Squared distances of rows from their mean, scaled such that their mean is the trace of the covariance.
at::Tensor spreads(const at::Tensor& features) {
  const at::Tensor x = features.to(at::kDouble);
  const auto n = static_cast<double>(x.size(0));
  return (x - x.mean(0)).square().sum(1) * (n / (n - 1));
}

/// Squared relative standard error of a mean of n values.
double relative_variance(const at::Tensor& values) {
  const double mean = values.mean().item<double>();
  return values.var().item<double>() / (mean * mean * static_cast<double>(values.numel()));
}

}  // namespace

Neighbours nearest_neighbours(const at::Tensor& of, const at::Tensor& in) {
  return search(of, in, false);
}
Neighbours nearest_neighbours(const at::Tensor& within) {
  return search(within, within, true);
}

Share near_duplicates(const at::Tensor& samples, const at::Tensor& real) {
  const std::int64_t size = std::min(samples.size(0), real.size(0));
  const double bound = small_quantile(nearest_neighbours(real.narrow(0, 0, size)).distance);
  return share_below(nearest_neighbours(samples.narrow(0, 0, size)).distance, bound);
}

Share copies(const at::Tensor& samples, const at::Tensor& training, const at::Tensor& held_out) {
  const double bound = small_quantile(nearest_neighbours(held_out, training).distance);
  return share_below(nearest_neighbours(samples, training).distance, bound);
}

std::vector<ClassDiversity> diversity(const at::Tensor& samples, const at::Tensor& sample_labels,
                                      const at::Tensor& real, const at::Tensor& real_labels) {
  const auto of_class = [](const at::Tensor& features, const at::Tensor& labels, std::int64_t label) {
    return features.index_select(0, labels.eq(label).nonzero().flatten());
  };
  std::vector<ClassDiversity> classes;
  const std::int64_t count = real_labels.numel() == 0 ? 0 : real_labels.max().item<std::int64_t>() + 1;
  for (std::int64_t label = 0; label < count; ++label) {
    const at::Tensor made = of_class(samples, sample_labels, label),
                     there = of_class(real, real_labels, label);
    if (made.size(0) < 2 || there.size(0) < 2) continue;
    const at::Tensor a = spreads(made), b = spreads(there);
    const double ratio = a.mean().item<double>() / b.mean().item<double>();
    const double reach = std::exp(1.96 * std::sqrt(relative_variance(a) + relative_variance(b)));
    classes.push_back({label, made.size(0), ratio, ratio / reach, ratio * reach});
  }
  return classes;
}

}  // namespace diffit::analysis

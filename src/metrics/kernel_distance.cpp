#include "metrics/kernel_distance.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/random.h"

namespace diffit::metrics {

namespace {

/// Returns k(x, y) for all pairs: [B, M] float64.
at::Tensor cubic_kernel(const at::Tensor& x, const at::Tensor& y) {
  const at::Tensor base = x.mm(y.t()).to(at::kDouble).div_(static_cast<double>(x.size(1))).add_(1);
  return base.square().mul_(base);
}

/// Sum over pairs of distinct images.
double sum_of_others(const at::Tensor& kernel) {
  return (kernel.sum() - kernel.trace()).item<double>();
}

double squared_discrepancy(const at::Tensor& x, const at::Tensor& y) {
  const double m = static_cast<double>(x.size(0));
  return (sum_of_others(cubic_kernel(x, x)) + sum_of_others(cubic_kernel(y, y))) / (m * (m - 1)) -
         2 * cubic_kernel(x, y).mean().item<double>();
}

/// Returns `count` distinct rows, drawn for subset number `subset`.
at::Tensor drawn(const at::Tensor& features, std::int64_t count, std::uint64_t seed, std::uint64_t subset) {
  if (count == features.size(0)) return features;
  const at::Tensor rows = at::empty({count}, at::kLong);
  std::int64_t* index = rows.mutable_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < count; ++i) {
    index[i] = static_cast<std::int64_t>(permuted(static_cast<std::uint64_t>(i),
                                                  static_cast<std::uint64_t>(features.size(0)), seed,
                                                  stream_of(Purpose::subset, subset)));
  }
  return features.index_select(0, rows);
}

/// First-order part of the estimate: 2 (mean of k(x_i, x) - mean of k(x_i, y)), with means over one subset of
/// each set.
at::Tensor influence_of(const at::Tensor& samples, const at::Tensor& x, const at::Tensor& y) {
  const std::int64_t count = samples.size(0), block = 2048;
  const at::Tensor moved = at::empty({count}, at::kDouble);
  for (std::int64_t first = 0; first < count; first += block) {
    const at::Tensor rows = samples.narrow(0, first, std::min(block, count - first));
    moved.narrow(0, first, rows.size(0))
        .copy_(2 * (cubic_kernel(rows, x).mean(1) - cubic_kernel(rows, y).mean(1)));
  }
  return moved - moved.mean();
}

}  // namespace

KernelDistance kernel_distance(const at::Tensor& samples, const at::Tensor& reference,
                               const KernelDistanceOptions& options) {
  DIFFIT_CHECK(samples.size(0) >= 2 && reference.size(0) >= 2,
               "a kernel distance needs at least two images per set, got {} and {}", samples.size(0),
               reference.size(0));
  DIFFIT_CHECK(samples.size(1) == reference.size(1), "samples have {} features, the reference {}",
               samples.size(1), reference.size(1));
  KernelDistance result;
  result.subset_size = std::min({options.subset_size, samples.size(0), reference.size(0)});
  std::vector<double> values;
  const bool whole = result.subset_size == samples.size(0) && result.subset_size == reference.size(0);
  for (std::int64_t s = 0; s < (whole ? 1 : options.subsets); ++s) {
    const auto stream = static_cast<std::uint64_t>(2 * s);
    values.push_back(squared_discrepancy(drawn(samples, result.subset_size, options.seed, stream),
                                         drawn(reference, result.subset_size, options.seed, stream + 1)));
  }
  const at::Tensor all = at::tensor(values, at::kDouble);
  result.value = all.mean().item<double>();
  result.deviation = all.std(0, /*unbiased=*/false).item<double>();
  if (options.influence) {
    const std::int64_t x = std::min<std::int64_t>(2000, samples.size(0)),
                       y = std::min<std::int64_t>(2000, reference.size(0));
    result.influence =
        influence_of(samples, drawn(samples, x, options.seed, 0), drawn(reference, y, options.seed, 1));
  }
  return result;
}

}  // namespace diffit::metrics

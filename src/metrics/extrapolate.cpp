#include "metrics/extrapolate.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "metrics/frechet.h"

namespace diffit::metrics {

namespace {

/// Moments of a subset of `count` distinct images. Each point of the fit uses its own subset.
Gaussian moments_of_subset(const at::Tensor& samples, std::int64_t count, std::uint64_t seed,
                           std::uint64_t point) {
  constexpr std::int64_t kBlock = 2048;
  const auto all = static_cast<std::uint64_t>(samples.size(0));
  Moments moments(samples.size(1));
  for (std::int64_t first = 0; first < count; first += kBlock) {
    const at::Tensor rows = at::empty({std::min(kBlock, count - first)}, at::kLong);
    std::int64_t* index = rows.mutable_data_ptr<std::int64_t>();
    for (std::int64_t i = 0; i < rows.size(0); ++i) {
      index[i] = static_cast<std::int64_t>(permuted(static_cast<std::uint64_t>(first + i), all, seed,
                                                    stream_of(Purpose::subset, (1ull << 32) + point)));
    }
    moments.add(samples.index_select(0, rows));
  }
  return moments.gaussian();
}

}  // namespace

Extrapolation extrapolate_frechet(const at::Tensor& samples, const Gaussian& reference,
                                  const ExtrapolationOptions& options) {
  const std::int64_t count = samples.size(0), points = options.points;
  DIFFIT_CHECK(count >= 20, "extrapolation needs at least 20 samples, got {}", count);
  if (points < 3) fail("extrapolation: wanted at least three points, got {}", points);
  Extrapolation result;
  result.smallest = std::clamp(2 * samples.size(1), count / 10, count / 2);
  std::vector<double> x, y;
  for (std::int64_t k = 0; k < points; ++k) {
    const std::int64_t size = result.smallest + (count - result.smallest) * k / (points - 1);
    x.push_back(1 / static_cast<double>(size));
    y.push_back(FrechetDistance(moments_of_subset(samples, size, options.seed, static_cast<std::uint64_t>(k)),
                                reference)
                    .value());
    if (options.progress) options.progress(static_cast<double>(k + 1) / static_cast<double>(points));
  }
  const at::Tensor tx = at::tensor(x, at::kDouble), ty = at::tensor(y, at::kDouble);
  const at::Tensor dx = tx - tx.mean(), dy = ty - ty.mean();
  result.slope = ((dx * dy).sum() / dx.square().sum()).item<double>();
  result.value = ty.mean().item<double>() - result.slope * tx.mean().item<double>();
  result.residual =
      std::sqrt((dy - result.slope * dx).square().sum().item<double>() / static_cast<double>(points - 2));
  return result;
}

}  // namespace diffit::metrics

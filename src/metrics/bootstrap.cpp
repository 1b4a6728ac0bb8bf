#include "metrics/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/random.h"
#include "runtime/parallel.h"

namespace diffit::metrics {

namespace {

/// Interpolates linearly between order statistics, as numpy does by default.
double quantile(const std::vector<double>& sorted, double q) {
  const double at = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

Interval bootstrap_interval(double value, const at::Tensor& influence, const BootstrapOptions& options) {
  if (influence.dim() != 1 || influence.size(0) < 1 || options.replicates < 2) {
    fail("bootstrap: wanted influences [N] and at least two replicates");
  }
  const at::Tensor moved = influence.to(at::kDouble);
  const at::Tensor centred = (moved - moved.mean()).contiguous();
  const double* change = centred.const_data_ptr<double>();
  const auto count = static_cast<std::uint32_t>(centred.size(0));
  std::vector<double> values(static_cast<std::size_t>(options.replicates));
  runtime::parallel_for(options.replicates, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t replicate = begin; replicate < end; ++replicate) {
      Random random(options.seed, stream_of(Purpose::bootstrap, static_cast<std::uint64_t>(replicate)));
      double sum = 0;
      for (std::uint32_t i = 0; i < count; ++i) sum += change[random.below(count)];
      values[static_cast<std::size_t>(replicate)] = sum / count;
    }
  });
  double mean = 0, square = 0;
  for (const double v : values) mean += v / static_cast<double>(values.size());
  for (const double v : values) square += (v - mean) * (v - mean);
  std::sort(values.begin(), values.end());
  const double tail = (1 - options.confidence) / 2;
  return {value + quantile(values, tail), value + quantile(values, 1 - tail),
          std::sqrt(square / static_cast<double>(values.size() - 1))};
}

}  // namespace diffit::metrics

// Intervals by resampling pictures (Efron 1979), of figures written as a value and each picture's influence.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace diffit {

struct BootstrapOptions {
  std::int64_t replicates = 1000;  // at least 2
  double confidence = 0.95;        // in (0, 1)
  std::uint64_t seed = 0;
};

struct Interval {
  double low = 0, high = 0;
  double deviation = 0;  // over replicates: the figure's standard error
};

/// The percentile interval of value + mean of influence over pictures drawn with replacement. influence [N]:
/// how a picture moves the figure to first order; it is centred here. For a figure that is a mean over
/// pictures (precision, recall) this is the bootstrap itself. For others (Frechet distance, inception score,
/// kernel distance) it is the bootstrap of the figure's linear part: what draws of another N pictures from
/// the same source would scatter by. Recomputing the figure on pictures drawn with replacement would not do:
/// copies of pictures raise a Frechet distance by its own bias once more, so that the interval would not even
/// hold the figure, and its width would be that of a smaller set (docs/metrics.md has numbers).
///
/// The numbers depend on the seed and N alone, not on the number of threads.
Interval bootstrap_interval(double value, const at::Tensor& influence, const BootstrapOptions& options = {});

}  // namespace diffit

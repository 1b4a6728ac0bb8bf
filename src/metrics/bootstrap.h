// Bootstrap confidence intervals (Efron 1979) for metrics given as a value and the influence of each image.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "base/layers.h"

namespace diffit::metrics {

/// Parameters of the bootstrap.
struct BootstrapOptions {
  std::int64_t replicates = 1000;  // at least 2
  double confidence = 0.95;        // in (0, 1)
  std::uint64_t seed = 0;
};

/// Confidence interval of a metric.
struct Interval {
  double low = 0, high = 0;
  double deviation = 0;  // standard deviation over replicates: the standard error of the metric
};

/// Returns the percentile interval of value + mean of influence over images resampled with replacement.
/// influence [N]: first-order effect of each image on the metric; it is centered here. For a metric that is a
/// mean over images (precision, recall), this is the ordinary bootstrap. For others (Frechet distance,
/// inception score, kernel distance), it is the bootstrap of the linear part of the metric and estimates the
/// variation over sets of N other images from the same source. Recomputing the metric on resampled images
/// would be wrong: repeated images add the bias of a Frechet distance a second time, so that the interval
/// might not contain the value and would have the width for a smaller set (docs/metrics.md has numbers).
///
/// The result depends only on the seed and N, not on the number of threads. Throws Error(failed) unless N >=
/// 1 and replicates >= 2.
Interval bootstrap_interval(double value, const at::Tensor& influence, const BootstrapOptions& options = {});

}  // namespace diffit::metrics

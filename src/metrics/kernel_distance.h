// Kernel inception distance (Binkowski et al. 2018, "Demystifying MMD GANs", section 4).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "base/layers.h"

namespace diffit::metrics {

/// Parameters of the kernel distance.
struct KernelDistanceOptions {
  std::int64_t subsets = 100, subset_size = 1000;  // subset_size is limited to the smaller set
  std::uint64_t seed = 0;                          // seed of the subsets
  bool influence = false;
};

/// Kernel distance of two sets.
struct KernelDistance {
  double value = 0;              // mean over subsets; unbiased, so it may be negative
  double deviation = 0;          // over subsets, with their number as divisor; reflects the subset size
  std::int64_t subset_size = 0;  // size used: min(subset_size, N, M)
  at::Tensor influence;          // [N] float64 for the samples, mean 0; undefined if not requested
};

/// Unbiased estimate of the squared maximum mean discrepancy with k(x, y) = (x.y / D + 1)^3, averaged over
/// subsets drawn without replacement. samples [N, D] and reference [M, D] are float32 on the CPU with at
/// least two rows each. Products are float32, kernel values and sums float64. Throws Error(invalid) for fewer
/// rows or different widths.
KernelDistance kernel_distance(const at::Tensor& samples, const at::Tensor& reference,
                               const KernelDistanceOptions& options = {});

}  // namespace diffit::metrics

// The kernel inception distance (Binkowski et al. 2018, "Demystifying MMD GANs", section 4).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace diffit {

struct KernelDistanceOptions {
  std::int64_t subsets = 100, subset_size = 1000;  // at most as many as the smaller set has
  std::uint64_t seed = 0;                          // of the subsets
  bool influence = false;
};

struct KernelDistance {
  double value = 0;              // mean over subsets; may be negative, being unbiased
  double deviation = 0;          // over subsets, divisor their number: of a subset's size, not of the sets'
  std::int64_t subset_size = 0;  // what was drawn: min(subset_size, N, M)
  at::Tensor influence;          // [N] float64 of the samples, mean 0; undefined where not asked for
};

/// Squared maximum mean discrepancy under k(x, y) = (x.y / D + 1)^3, the unbiased estimate, mean over subsets
/// drawn without replacement. samples [N, D], reference [M, D], float32 on the CPU, two rows or more.
/// Products in float32, kernel and sums in float64.
KernelDistance kernel_distance(const at::Tensor& samples, const at::Tensor& reference,
                               const KernelDistanceOptions& options = {});

}  // namespace diffit

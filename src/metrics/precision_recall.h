// Precision and recall from nearest neighbors (Kynkaanniemi et al. 2019, "Improved precision and recall
// metric for assessing generative models", eq. 1 and 2).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

#include "base/layers.h"

namespace diffit::metrics {

/// Parameters of precision and recall.
struct PrecisionRecallOptions {
  std::int64_t neighbours = 3;  // k
  /// Computes distances in float16 like ADM's evaluator, which falls back to float32 for a block of 10000 x
  /// 10000 images if one of its distances is not finite. This is coarser: it gives more ties, which count as
  /// inside.
  bool half = false;
  std::function<void(double share)> progress = {};  // fraction of work done, 0..1
};

/// Precision and recall of two sets.
struct PrecisionRecall {
  double precision = 0;         // fraction of samples inside the ball of a reference image
  double recall = 0;            // fraction of reference images inside the ball of a sample
  at::Tensor sample_inside;     // [N] bool
  at::Tensor reference_inside;  // [M] bool
};

/// samples [N, D] and reference [M, D] are float32 on the CPU, with N and M greater than k. The ball of an
/// image extends to its k-th nearest neighbor in its own set, not counting itself, and includes its surface.
/// Squared distances are max(|u|^2 - 2 u.v + |v|^2, 0) in float32. Memory: one block of distances, never N x
/// M. Throws Error(invalid) for too few rows or different widths, Error(failed) for non-finite features.
PrecisionRecall precision_recall(const at::Tensor& samples, const at::Tensor& reference,
                                 const PrecisionRecallOptions& options = {});

}  // namespace diffit::metrics

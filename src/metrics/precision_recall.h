// Precision and recall by nearest neighbours (Kynkaanniemi et al. 2019, "Improved precision and recall metric
// for assessing generative models", eq. 1 and 2).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

namespace diffit {

struct PrecisionRecallOptions {
  std::int64_t neighbours = 3;  // k
  /// ADM's evaluator computes distances in float16, and a block of 10000 x 10000 pictures in float32 where
  /// one of its distances is not finite. Coarser: more ties, and `<=` counts them.
  bool half = false;
  std::function<void(double share)> progress = {};  // of the work, 0..1
};

struct PrecisionRecall {
  double precision = 0;         // share of samples inside the ball of a reference picture
  double recall = 0;            // share of reference pictures inside the ball of a sample
  at::Tensor sample_inside;     // [N] bool
  at::Tensor reference_inside;  // [M] bool
};

/// samples [N, D], reference [M, D], float32 on the CPU, N and M above k. The ball of a picture reaches to
/// its k-th nearest neighbour in its own set, itself not counted; the surface is inside. Squared distances
/// |u|^2 - 2 u.v + |v|^2, not below 0, in float32. Memory: a block of distances, never N x M.
PrecisionRecall precision_recall(const at::Tensor& samples, const at::Tensor& reference,
                                 const PrecisionRecallOptions& options = {});

}  // namespace diffit

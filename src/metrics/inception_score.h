// Inception score (Salimans et al. 2016, "Improved techniques for training GANs", section 4).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "base/layers.h"

namespace diffit::metrics {

/// Inception score of a set.
struct InceptionScore {
  double value = 0;      // mean over blocks of exp(mean over images of KL(p(y|x) || p(y)))
  double deviation = 0;  // over blocks, with their number as divisor as in the original; 0 for one block
  std::int64_t blocks = 0;
  at::Tensor influence;  // [N] float64: influence of each image (see bootstrap_interval)
};

/// Accumulates the score like ADM's evaluator: images in the given order, in unshuffled blocks of 5000; a
/// shorter last block has the same weight as a full one. Keeps one block of probabilities in memory.
class InceptionScoreSum {
 public:
  explicit InceptionScoreSum(std::int64_t block = 5000) : block_(block) {}

  /// probabilities [B, K] with rows that sum to one; 0 ln 0 = 0.
  void add(const at::Tensor& probabilities);
  /// Throws Error(invalid) if no image was added.
  InceptionScore finish();

 private:
  void close_block();

  std::int64_t block_, held_ = 0;
  at::Tensor rows_;                 // [block, K] float32, of which held_ rows are used
  std::vector<double> scores_;      // of completed blocks
  std::vector<at::Tensor> pieces_;  // influences in completed blocks, before division by the number of blocks
};

}  // namespace diffit::metrics

// The inception score (Salimans et al. 2016, "Improved techniques for training GANs", section 4).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace diffit {

struct InceptionScore {
  double value = 0;      // mean over blocks of exp(mean over pictures of KL(p(y|x) || p(y)))
  double deviation = 0;  // over blocks, divisor their number as in the original; 0 with one block
  std::int64_t blocks = 0;
  at::Tensor influence;  // [N] float64: to first order the score moves by the mean of the resampled ones
};

/// Sums as ADM's evaluator does: pictures in the order they come, blocks of 5000 that are not shuffled, a
/// last block that is short counting as much as a whole one. Keeps one block of probabilities.
class InceptionScoreSum {
 public:
  explicit InceptionScoreSum(std::int64_t block = 5000) : block_(block) {}

  /// probabilities [B, K], rows that add up to one. 0 ln 0 is 0.
  void add(const at::Tensor& probabilities);
  /// Error(invalid) where there was no picture.
  InceptionScore finish();

 private:
  void close_block();

  std::int64_t block_, held_ = 0;
  at::Tensor rows_;                 // [block, K] float32, held_ of them used
  std::vector<double> scores_;      // of closed blocks
  std::vector<at::Tensor> pieces_;  // their influences, a picture's before division by the number of blocks
};

}  // namespace diffit

// What is known of one set of pictures by their features: summed as they come, or read out of statistics.
#pragma once

#include <optional>
#include <string>

#include "metrics/feature_network.h"
#include "metrics/inception_score.h"
#include "metrics/moments.h"

namespace diffit {

struct FeatureSet {
  std::int64_t pictures = 0;  // behind the moments; 0: not told
  std::optional<Gaussian> pooled, spatial;
  at::Tensor features;          // [N, D] float32, pooled
  at::Tensor spatial_features;  // [N, S] float32
  std::optional<InceptionScore> score;
};

/// What to sum and what to keep. Moments and the score take memory of one block; features that are kept,
/// 4 D bytes a picture.
struct FeatureSums {
  bool pooled = true, spatial = false, score = false;
  bool keep_pooled = false, keep_spatial = false;
};

/// Sums a set's features in the order its pictures come.
class FeatureSum {
 public:
  /// Sums that the network cannot give (S or K of 0) are left out. `expected` pictures, for memory.
  FeatureSum(const FeatureInfo& network, FeatureSums sums, std::int64_t expected);

  void add(const Features& features);
  std::int64_t pictures() const { return pictures_; }
  /// Error(invalid) with fewer than two pictures where moments are wanted.
  FeatureSet finish();

 private:
  FeatureSums sums_;
  Moments pooled_, spatial_;
  InceptionScoreSum score_;
  at::Tensor features_, spatial_features_;
  std::int64_t pictures_ = 0;
};

}  // namespace diffit

// Feature statistics of a set of images, accumulated from features or read from a statistics file.
#pragma once

#include <optional>
#include <string>

#include "metrics/feature_network.h"
#include "metrics/inception_score.h"
#include "metrics/moments.h"

namespace diffit::metrics {

/// Statistics of a set. A statistic that was not requested or is not supported is empty or undefined.
struct FeatureSet {
  std::int64_t images = 0;  // number of images used for the moments; 0: unknown
  std::optional<Gaussian> pooled, spatial;
  at::Tensor features;          // [N, D] float32, pooled
  at::Tensor spatial_features;  // [N, S] float32
  std::optional<InceptionScore> score;
};

/// Selects what to accumulate and what to keep. Moments and the score need the memory of one block; kept
/// features need 4 D bytes per image.
struct FeatureSums {
  bool pooled = true, spatial = false, score = false;
  bool keep_pooled = false, keep_spatial = false;
};

/// Accumulates the features of a set of images, in the order of the images.
class FeatureSum {
 public:
  /// Omits statistics that the network does not support (S = 0 or K = 0). `expected`: expected number of
  /// images, used to allocate memory.
  FeatureSum(const FeatureInfo& network, FeatureSums sums, std::int64_t expected);

  /// Adds the features of a batch [B, ...].
  void add(const Features& features);
  /// Number of images added so far.
  std::int64_t images() const { return images_; }
  /// Throws Error(invalid) for fewer than two images if moments are requested.
  FeatureSet finish();

 private:
  FeatureSums sums_;
  Moments pooled_, spatial_;
  InceptionScoreSum score_;
  at::Tensor features_, spatial_features_;
  std::int64_t images_ = 0;
};

}  // namespace diffit::metrics

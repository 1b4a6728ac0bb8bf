#include "metrics/feature_set.h"

#include <algorithm>

namespace diffit::metrics {

namespace {

FeatureSums possible(const FeatureInfo& network, FeatureSums sums) {
  sums.spatial = sums.spatial && network.spatial > 0;
  sums.keep_spatial = sums.keep_spatial && network.spatial > 0;
  sums.score = sums.score && network.classes > 0;
  return sums;
}

/// Writes rows [first, first + B) of a buffer, which grows if the set is larger than expected.
void keep(at::Tensor& buffer, const at::Tensor& rows, std::int64_t first) {
  const std::int64_t needed = first + rows.size(0);
  if (needed > buffer.size(0)) {
    const at::Tensor larger = at::empty({std::max(needed, 2 * buffer.size(0)), buffer.size(1)}, at::kFloat);
    larger.narrow(0, 0, first).copy_(buffer.narrow(0, 0, first));
    buffer = larger;
  }
  buffer.narrow(0, first, rows.size(0)).copy_(rows);
}

}  // namespace

FeatureSum::FeatureSum(const FeatureInfo& network, FeatureSums sums, std::int64_t expected)
    : sums_(possible(network, sums)),
      pooled_(sums_.pooled ? network.width : 0),
      spatial_(sums_.spatial ? network.spatial : 0),
      features_(at::empty({sums_.keep_pooled ? expected : 0, network.width}, at::kFloat)),
      spatial_features_(at::empty({sums_.keep_spatial ? expected : 0, network.spatial}, at::kFloat)) {}

void FeatureSum::add(const Features& f) {
  if (sums_.pooled) pooled_.add(f.pooled);
  if (sums_.spatial) spatial_.add(f.spatial);
  if (sums_.score) score_.add(f.probabilities);
  if (sums_.keep_pooled) keep(features_, f.pooled, images_);
  if (sums_.keep_spatial) keep(spatial_features_, f.spatial, images_);
  images_ += f.pooled.size(0);
}

FeatureSet FeatureSum::finish() {
  FeatureSet set;
  set.images = images_;
  if (sums_.pooled) set.pooled = pooled_.gaussian();
  if (sums_.spatial) set.spatial = spatial_.gaussian();
  if (sums_.score) set.score = score_.finish();
  if (sums_.keep_pooled) set.features = features_.narrow(0, 0, images_);
  if (sums_.keep_spatial) set.spatial_features = spatial_features_.narrow(0, 0, images_);
  return set;
}

}  // namespace diffit::metrics

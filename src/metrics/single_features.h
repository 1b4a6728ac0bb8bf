// What metrics of the features of single images have in common.
#pragma once

#include <string>

#include "metrics/metric.h"

namespace diffit::metrics {

inline FeatureSums keep_features(const EvaluationOptions&) {
  return FeatureSums{.pooled = false, .keep_pooled = true};
}

inline std::string lacking_features(const FeatureInfo&, const Available& samples,
                                    const Available& reference) {
  if (!samples.features) return kNeedsImages;
  return reference.features ? ""
                            : "REF has neither images (arr_0) nor features; give the images, or a statistics "
                              "file of diffit stats";
}

}  // namespace diffit::metrics

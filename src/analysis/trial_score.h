// Scoring a trained image-space model: images sampled from it against a data set, in a feature space.
#pragma once

#include <functional>
#include <string>

#include "config/fields.h"
#include "data/dataset.h"
#include "metrics/feature_network.h"
#include "metrics/moments.h"

namespace diffit::analysis {

/// Mean and covariance of the features of every image of a data set. progress: images done, all.
Gaussian features_of(const Dataset& data, const FeatureNetwork& network,
                     const std::function<void(std::int64_t, std::int64_t)>& progress = {});

/// The same kept in `folder` for the next time, under the identities of network and data. A file that is
/// damaged, or that does not say that it is of this network and these data, is made again.
Gaussian kept_features_of(const Dataset& data, const FeatureNetwork& network, const fs::path& folder,
                          const std::function<void(std::int64_t, std::int64_t)>& progress = {});

struct ScoreRequest {
  fs::path model;  // an average of the weights
  std::int64_t samples = 5000, steps = 18, batch = 100;
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
};

/// A Frechet distance with its interval over images (metrics/bootstrap.h).
struct Score {
  std::int64_t images = 0;  // of the training, where known
  std::int64_t samples = 0;
  double value = 0, low = 0, high = 0, deviation = 0;
  bool full_rank = true;  // of the covariance of the samples; without, the distance is biased the more
};

/// Samples image i from seed i and class i modulo the classes, by Heun's method.
Score score_model(const ScoreRequest& request, const FeatureNetwork& network, const Gaussian& reference,
                  const std::function<void(std::int64_t, std::int64_t)>& progress = {});

Json to_json(const Score& score);
/// Error(invalid) begins with `where`.
Score score_from_json(const Json& object, const std::string& where);

}  // namespace diffit::analysis

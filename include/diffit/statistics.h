// Statistics of a set of images in the features of a network: a reference file for evaluate() and for ADM's
// evaluator.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "diffit/monitor.h"
#include "diffit/runtime.h"

namespace diffit {

struct StatisticsSpec {
  std::string data;        // images: npz with arr_0, zip, folder, IDX or CIFAR; at least two
  std::string output;      // the .npz file to write
  std::string features;    // feature network: a file of Inception-v3, or the name of a bundled network
  std::int64_t limit = 0;  // only the first so many images; 0: all
  std::int64_t batch = 0;  // images at a time; 0: by their size
  std::int64_t keep =
      10000;  // randomly chosen images whose features are stored for precision, recall and KID
};

/// The file holds mu [D] and sigma [D, D], mu_s and sigma_s of spatial features if the network has them (all
/// float64), and the features of the kept images, float32.
struct StatisticsResult {
  std::int64_t images = 0;
  std::int64_t width = 0, height = 0, channels = 0;  // of the images
  std::string network, identity;                     // name and fingerprint of the feature network
  std::int64_t features = 0, spatial_features = 0;   // width of the features; 0: it has no spatial ones
  std::int64_t kept_features = 0;                    // images whose features are stored
  std::vector<std::string> warnings;
};

/// Progress is reported in images. Throws Error: invalid for a wrong field or file, failed, or cancelled;
/// then no file is written.
StatisticsResult compute_statistics(const StatisticsSpec& spec, const RuntimeOptions& runtime = {});
StatisticsResult compute_statistics(const StatisticsSpec& spec, const RuntimeOptions& runtime,
                                    Monitor& monitor);

}  // namespace diffit

// Statistics files of a set of images: reads reference files of ADM and EDM and our own format.
//
//   mu [D], sigma [D, D]       of pool_3, float32 or float64 (ADM, EDM)
//   mu_s [S], sigma_s [S, S]   of the spatial features of sFID (ADM)
//   arr_0 [n, H, W, C] uint8   images (ADM: 10,000); mu and sigma are computed from more images than these
//   features [n, D] float32    ours: for precision, recall and the kernel distance without images
//   diffit [n] uint8           ours: JSON, see below; bytes(f["diffit"]) in numpy, no pickle
#pragma once

#include <optional>
#include <string>

#include "base/file.h"
#include "config/fields.h"
#include "metrics/feature_network.h"
#include "metrics/moments.h"

namespace diffit::metrics {

/// Metadata of a statistics file. A zero or empty field means unknown.
struct StatisticsInfo {
  std::int64_t images = 0;        // number of images used for mu and sigma
  std::string network, identity;  // as in FeatureInfo
  std::int64_t height = 0, width = 0, channels = 0;
  std::string source;  // description of the measured set for messages
};

template <class V>
void visit_fields(V& v, StatisticsInfo& s) {
  v("pictures", s.images, "number of images behind mu and sigma", 0, 1e15);
  v("network", s.network, "name of the feature network");
  v("identity", s.identity, "fingerprint of the network's weights");
  v("height", s.height, "height of the images", 0, 1e6);
  v("width", s.width, "width of the images", 0, 1e6);
  v("channels", s.channels, "channels of the images", 0, 4);
  v("source", s.source, "the images that were measured");
}

/// Contents of a statistics file.
struct Statistics {
  StatisticsInfo info;
  std::optional<Gaussian> pooled, spatial;
  at::Tensor features;          // [n, D] float32; undefined if absent
  std::int64_t arr_images = 0;  // number of images in arr_0, which is not read
};

/// Whether the file is an .npz that contains mu and sigma.
bool is_statistics(const fs::path& path);

/// Reads and checks a file: shapes are checked before memory is allocated, numbers must be finite, and sigma
/// must be symmetric. Height, width and channels are taken from arr_0 if the metadata does not give them.
/// Throws Error(invalid) that names the file and the array.
Statistics read_statistics(const fs::path& path);

/// Writes the fields that are set, in float64, atomically.
void write_statistics(const fs::path& path, const Statistics& statistics);

/// Throws Error(invalid), with a message that begins with `where`, if the statistics belong to another
/// network or have another width than `network`.
void check_network(const Statistics& statistics, const FeatureInfo& network, const std::string& where);

}  // namespace diffit::metrics

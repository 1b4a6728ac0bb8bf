// Files of statistics of a set of pictures: ADM's and EDM's references read as they are, and our own.
//
//   mu [D], sigma [D, D]       of pool_3, float32 or float64 (ADM, EDM)
//   mu_s [S], sigma_s [S, S]   of sFID's map (ADM)
//   arr_0 [n, H, W, C] uint8   pictures (ADM: 10,000); mu and sigma are of more than these
//   features [n, D] float32    ours: for precision, recall and the kernel distance without pictures
//   diffit [n] uint8           ours: JSON, below; bytes(f["diffit"]) in numpy, no pickle
#pragma once

#include <optional>
#include <string>

#include "base/file.h"
#include "io/fields.h"
#include "metrics/feature_network.h"
#include "metrics/moments.h"

namespace diffit {

/// What a file of statistics says of itself. A zero or empty field was not told.
struct StatisticsInfo {
  std::int64_t pictures = 0;      // behind mu and sigma
  std::string network, identity;  // as in FeatureInfo
  std::int64_t height = 0, width = 0, channels = 0;
  std::string source;  // what was measured, for people
};

template <class V>
void visit_fields(V& v, StatisticsInfo& s) {
  v("pictures", s.pictures, "behind mu and sigma", 0, 1e15);
  v("network", s.network, "name of the feature network");
  v("identity", s.identity, "of its weights");
  v("height", s.height, "of the pictures", 0, 1e6);
  v("width", s.width, "of the pictures", 0, 1e6);
  v("channels", s.channels, "of the pictures", 0, 4);
  v("source", s.source, "what was measured");
}

struct Statistics {
  StatisticsInfo info;
  std::optional<Gaussian> pooled, spatial;
  at::Tensor features;            // [n, D] float32; undefined where there are none
  std::int64_t arr_pictures = 0;  // in arr_0: left to whoever wants them
};

/// True for an .npz that holds mu and sigma.
bool is_statistics(const fs::path& path);

/// Reads and checks: shapes before memory is taken, numbers finite, sigma symmetric. Height, width and
/// channels come of arr_0 where nothing else tells. Error(invalid) names file and array.
Statistics read_statistics(const fs::path& path);

/// Writes what is there, float64, whole or not at all.
void write_statistics(const fs::path& path, const Statistics& statistics);

/// Error(invalid), beginning with `where`, where statistics are of another network or width than `network`'s.
void check_network(const Statistics& statistics, const FeatureInfo& network, const std::string& where);

}  // namespace diffit

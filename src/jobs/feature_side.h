// One side of an evaluation: images that are measured, or statistics that were.
#pragma once

#include <optional>
#include <string>

#include "jobs/no_monitor.h"
#include "metrics/evaluate.h"
#include "metrics/reference.h"

namespace diffit::metrics {
class FeatureSource;
}

namespace diffit::jobs {

struct MeasureOptions {
  std::int64_t batch = 0;  // images a pass; 0: by their size
  std::int64_t limit = 0;  // the first so many alone; 0: all
  Monitor* monitor = &no_monitor();
};

class FeatureSide {
 public:
  /// npz of statistics, npz of images, zip, folder or IDX. `what` ("SAMPLES", "REF") begins errors, which
  /// are Error(invalid): neither of these, statistics of another network, object arrays, mixed sizes.
  FeatureSide(const std::string& path, const FeatureInfo& network, std::string what);
  /// Images that are open already.
  FeatureSide(std::unique_ptr<FeatureSource> source, std::string what);
  ~FeatureSide();

  /// Of the statistics, where it is a file of them; else empty.
  const FeatureSet& known() const { return known_; }
  bool is_statistics() const { return statistics_; }
  bool has_images() const { return source_ != nullptr; }
  /// What measure() can give.
  Available available() const;
  /// Images that measure() goes through; 0 where there are none.
  std::int64_t images() const;
  /// What opening the images found that a person should know.
  std::vector<std::string> notes() const;
  const StatisticsInfo& info() const { return info_; }
  const std::string& path() const { return path_; }

  /// What `sums` ask for: from the statistics where they hold it, else of the images. Moments are never
  /// mixed: statistics' mu and sigma are of more images than arr_0 holds. What neither has is left out.
  FeatureSet measure(const FeatureNetwork& network, const FeatureSums& sums,
                     const MeasureOptions& options) const;

  /// {"path", "images", "height", "width", "channels", "statistics", ...}
  Json describe() const;

 private:
  void take_info_of_source();

  std::string path_, what_;
  bool statistics_ = false;
  StatisticsInfo info_;
  FeatureSet known_;
  std::unique_ptr<FeatureSource> source_;
};

/// Error(invalid) where both tell their images' size or channels and these differ.
void check_same_images(const FeatureSide& samples, const FeatureSide& reference);

/// Receives the features of images first, first + 1, ...
using FeatureSink = std::function<void(std::int64_t first, const Features& features)>;

/// The features of a source's images, accumulated as `sums` says. Progress is reported in images of `what`.
/// `each`: also receives the features of every batch.
FeatureSet measure_features(const FeatureSource& source, const FeatureNetwork& network,
                            const FeatureSums& sums, const MeasureOptions& options, const std::string& what,
                            const FeatureSink& each = {});

}  // namespace diffit::jobs

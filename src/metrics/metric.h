// A metric: an entry of the table of metrics, with the function that computes it. One file per metric.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/fields.h"
#include "metrics/bootstrap.h"
#include "metrics/feature_set.h"
#include "metrics/precision_recall.h"

namespace diffit::metrics {

struct Metric;

struct EvaluationOptions {
  std::vector<const Metric*> metrics;  // of the table, all_metrics()
  BootstrapOptions bootstrap;
  bool intervals = true;
  bool half = false;         // precision and recall as ADM's evaluator: PrecisionRecallOptions
  bool extrapolate = false;  // the Frechet distance to infinitely many samples
  std::uint64_t seed = 0;    // of the kernel distance's subsets and the extrapolation's
  std::function<void(const std::string& what, double share)> progress = {};
};

/// The value of a metric.
struct MetricResult {
  const Metric* metric = nullptr;
  std::string key;    // in JSON: the metric's name, but a Frechet distance that is not FID has the network's
  std::string label;  // for people
  double value = 0;
  std::optional<Interval> interval;
  std::int64_t samples = 0, reference = 0;  // images it was computed from; 0: unknown, or none
  Json details = Json::object();            // other values that belong to it
  std::vector<std::string> warnings;        // why it is not comparable or not reliable
};

/// What one side of an evaluation has, or will have once its images are measured.
struct Available {
  bool pooled = true, spatial = true;  // mean and covariance
  bool features = true;                // of single images
  bool score = true;                   // of the samples alone
  std::int64_t images = 0;             // images that single features are of; 0: unknown
  bool measured = false;               // mean and covariance are those of these images

  static Available of(const FeatureSet& set);
};

/// What a metric is computed from.
struct MetricInput {
  const Metric& metric;
  const FeatureInfo& network;
  const FeatureSet &samples, &reference;
  const EvaluationOptions& options;
  std::optional<PrecisionRecall>& neighbours;  // computed once, for precision and recall

  void progress(const std::string& what, double share) const {
    if (options.progress) options.progress(what, share);
  }
  /// A result without interval, details and warnings.
  MetricResult result(std::string key, std::string label, double value, std::int64_t of_samples,
                      std::int64_t of_reference) const;
  /// Sets the interval from the influence of each image [N], if intervals are wanted and it is defined.
  void set_interval(MetricResult& result, const at::Tensor& influence) const;
};

/// An entry of the table of metrics.
struct Metric {
  const char* name;   // on the command line and in JSON: "fid"
  const char* title;  // "Frechet distance (FID with Inception-v3)"
  const char* source;
  /// Images that each side needs at least, if they are measured; 0: any number.
  std::int64_t least_images = 0;
  /// Whether it is computed from means and covariances, which a file of statistics gives for any number of
  /// images.
  bool from_moments = false;
  /// Whether it compares with the reference.
  bool uses_reference = true;
  /// What is to be accumulated or kept of the features of each side.
  FeatureSums (*sums_of_samples)(const EvaluationOptions& options);
  FeatureSums (*sums_of_reference)(const EvaluationOptions& options);
  /// Says what the sides lack, whatever their numbers of images; empty: nothing.
  std::string (*lacking)(const FeatureInfo& network, const Available& samples, const Available& reference);
  /// Computes it. Throws Error(invalid) if options do not fit the sides.
  MetricResult (*compute)(const MetricInput& input);
};

/// All metrics, in the order of metrics.def.
std::span<const Metric* const> all_metrics();

/// Returned by Metric::lacking if the samples are statistics and single images are needed.
inline constexpr const char* kNeedsImages = "it needs images, but SAMPLES are statistics";
/// Numbers of images of published values: samples, and reference images for precision and recall. Fewer
/// than kFewImages are too few for any comparison.
inline constexpr std::int64_t kPublishedSamples = 50000, kPublishedReference = 10000, kFewImages = 10000;

}  // namespace diffit::metrics

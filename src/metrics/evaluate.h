// The figures of a set of samples against a reference, each with its interval and what is to be said of it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "config/fields.h"
#include "metrics/bootstrap.h"
#include "metrics/feature_set.h"

namespace diffit::metrics {

enum class Metric { frechet, spatial_frechet, inception_score, precision, recall, kernel };

/// "fid", "sfid", "is", "precision", "recall", "kid".
std::string metric_name(Metric metric);
/// Reads "fid,sfid,..."; Error(invalid) names the nearest. In the order above, each once.
std::vector<Metric> read_metrics(const std::string& list);

struct EvaluationOptions {
  std::vector<Metric> metrics;
  BootstrapOptions bootstrap;
  bool intervals = true;
  bool half = false;         // precision and recall as ADM's evaluator: PrecisionRecallOptions
  bool extrapolate = false;  // the Frechet distance to infinitely many samples
  std::uint64_t seed = 0;    // of the kernel distance's subsets and the extrapolation's
  std::function<void(const std::string& what, double share)> progress = {};
};

struct Figure {
  Metric metric;
  std::string key;    // in JSON: metric_name, but a Frechet distance that is no FID has the network's
  std::string label;  // for people
  double value = 0;
  std::optional<Interval> interval;
  std::int64_t samples = 0, reference = 0;  // images it was computed of; 0: not told, or none
  Json details = Json::object();            // what else belongs to it
  std::vector<std::string> warnings;        // what makes it not comparable, or not to be trusted
};

/// What the samples' and the reference's set must hold for these options.
FeatureSums sums_of_samples(const EvaluationOptions& options);
FeatureSums sums_of_reference(const EvaluationOptions& options);

/// What one side of an evaluation has, or will have once its images are measured.
struct Available {
  bool pooled = true, spatial = true;  // mean and covariance
  bool features = true;                // of single images
  bool score = true;                   // of the samples alone
  std::int64_t images = 0;             // images that single features are of; 0: not known
  bool measured = false;               // mean and covariance are those of these images

  static Available of(const FeatureSet& set);
};

/// Every metric that the network can give for these sides.
std::vector<Metric> possible_metrics(const FeatureInfo& network, const Available& samples,
                                     const Available& reference);
/// A line for each metric that only more images would allow.
std::vector<std::string> too_few_images(const FeatureInfo& network, const Available& samples,
                                        const Available& reference);
/// Removes from `metrics` those that only more images would allow, unless nothing else is left, and returns a
/// line for each that was removed.
std::vector<std::string> remove_too_few_images(std::vector<Metric>& metrics, const FeatureInfo& network,
                                               const Available& samples, const Available& reference);
/// Error(invalid) for the first metric that it cannot give, saying what is lacking.
void check_metrics(const std::vector<Metric>& metrics, const FeatureInfo& network, const Available& samples,
                   const Available& reference);

/// check_metrics, then the figures in the order of options.metrics.
std::vector<Figure> evaluate(const FeatureInfo& network, const FeatureSet& samples,
                             const FeatureSet& reference, const EvaluationOptions& options);

}  // namespace diffit::metrics

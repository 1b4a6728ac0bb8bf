// The metrics of a set of samples against a reference.
#pragma once

#include <string>
#include <vector>

#include "metrics/metric.h"

namespace diffit::metrics {

/// Reads "fid,sfid,...". Returns the metrics in the order of the table, each once. Throws Error(invalid) that
/// names the nearest for an unknown name.
std::vector<const Metric*> read_metrics(const std::string& list);
/// "fid, sfid, is, ...", for help texts.
std::string metric_names();

/// What is to be accumulated or kept of the features of each side for these options.
FeatureSums sums_of_samples(const EvaluationOptions& options);
FeatureSums sums_of_reference(const EvaluationOptions& options);

/// Returns every metric that can be computed from these sides with the network.
std::vector<const Metric*> possible_metrics(const FeatureInfo& network, const Available& samples,
                                            const Available& reference);
/// Returns a line for each metric that only more images would allow.
std::vector<std::string> too_few_images(const FeatureInfo& network, const Available& samples,
                                        const Available& reference);
/// Removes from `metrics` those that only more images would allow, unless nothing else is left, and returns a
/// line for each that was removed.
std::vector<std::string> remove_too_few_images(std::vector<const Metric*>& metrics,
                                               const FeatureInfo& network, const Available& samples,
                                               const Available& reference);
/// Throws Error(invalid) for the first metric that cannot be computed, and says what is lacking.
void check_metrics(const std::vector<const Metric*>& metrics, const FeatureInfo& network,
                   const Available& samples, const Available& reference);

/// Checks the metrics with check_metrics(), then computes them in the order of options.metrics.
std::vector<MetricResult> evaluate(const FeatureInfo& network, const FeatureSet& samples,
                                   const FeatureSet& reference, const EvaluationOptions& options);

}  // namespace diffit::metrics

// Inception score, or the same with another classifier.
#include "base/error.h"
#include "metrics/inception_score.h"
#include "metrics/metric.h"

namespace diffit::metrics {

namespace {

MetricResult compute(const MetricInput& in) {
  const InceptionScore& score = *in.samples.score;
  const std::int64_t count = score.influence.size(0);
  MetricResult r =
      in.result("is", in.network.inception ? "IS" : "IS-" + in.network.name, score.value, count, 0);
  in.set_interval(r, score.influence);
  r.details["blocks"] = score.blocks;
  r.details["block_deviation"] = score.deviation;
  if (count % 5000 != 0) {
    r.warnings.push_back(
        fmt::format("{}: computed over blocks of 5000, of which the last has only {} but the same weight: "
                    "fewer images give a lower value",
                    r.label, count % 5000));
  }
  return r;
}

}  // namespace

extern const Metric metric_is;
const Metric metric_is{
    .name = "is",
    .title = "Inception score",
    .source = "Salimans, Goodfellow, Zaremba, Cheung, Radford, Chen 2016",
    .uses_reference = false,
    .sums_of_samples = [](const EvaluationOptions&) { return FeatureSums{.pooled = false, .score = true}; },
    .sums_of_reference = [](const EvaluationOptions&) { return FeatureSums{.pooled = false}; },
    .lacking = [](const FeatureInfo& network, const Available& samples, const Available&) -> std::string {
      if (network.classes == 0) return fmt::format("{} has no classes", network.name);
      return samples.score ? "" : kNeedsImages;
    },
    .compute = compute,
};

}  // namespace diffit::metrics

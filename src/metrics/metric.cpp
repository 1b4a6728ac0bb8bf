#include "metrics/metric.h"

#include <array>

namespace diffit::metrics {

#define DIFFIT_METRIC(name) extern const Metric metric_##name;
#include "metrics/metrics.def"
#undef DIFFIT_METRIC

namespace {

constexpr std::array kMetrics = {
#define DIFFIT_METRIC(name) &metric_##name,
#include "metrics/metrics.def"
#undef DIFFIT_METRIC
};

}  // namespace

std::span<const Metric* const> all_metrics() {
  return kMetrics;
}

Available Available::of(const FeatureSet& set) {
  return {set.pooled.has_value(), set.spatial.has_value(), set.features.defined(), set.score.has_value(),
          set.features.defined() ? set.features.size(0) : 0};
}

MetricResult MetricInput::result(std::string key, std::string label, double value, std::int64_t of_samples,
                                 std::int64_t of_reference) const {
  MetricResult result;
  result.metric = &metric;
  result.key = std::move(key);
  result.label = std::move(label);
  result.value = value;
  result.samples = of_samples;
  result.reference = of_reference;
  return result;
}

void MetricInput::set_interval(MetricResult& result, const at::Tensor& influence) const {
  if (options.intervals && influence.defined() && influence.size(0) > 1)
    result.interval = bootstrap_interval(result.value, influence, options.bootstrap);
}

}  // namespace diffit::metrics

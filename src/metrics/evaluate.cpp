#include "metrics/evaluate.h"

#include <algorithm>

#include "base/error.h"

namespace diffit::metrics {

namespace {

/// Says which side has fewer images than the metric needs; empty: neither.
std::string too_few(const Metric& metric, const Available& samples, const Available& reference) {
  for (const auto& [side, name] : {std::pair(&samples, "SAMPLES"), std::pair(&reference, "REF")}) {
    if (metric.from_moments && !side->measured) continue;
    if (side->images > 0 && side->images < metric.least_images)
      return fmt::format("it needs at least {} images, {} has {}", metric.least_images, name, side->images);
  }
  return "";
}

/// The same if more images alone would allow it.
std::string only_too_few(const Metric& metric, const FeatureInfo& network, const Available& samples,
                         const Available& reference) {
  return metric.lacking(network, samples, reference).empty() ? too_few(metric, samples, reference) : "";
}

std::string lacking(const Metric& metric, const FeatureInfo& network, const Available& samples,
                    const Available& reference) {
  const std::string what = metric.lacking(network, samples, reference);
  return what.empty() ? too_few(metric, samples, reference) : what;
}

std::string left_out(const Metric& metric, const std::string& why) {
  return fmt::format("{}: not computed: {}", metric.name, why);
}

FeatureSums united(const EvaluationOptions& options,
                   FeatureSums (*Metric::*sums_of_side)(const EvaluationOptions&)) {
  FeatureSums all{.pooled = false};
  for (const Metric* metric : options.metrics) {
    const FeatureSums sums = (metric->*sums_of_side)(options);
    all.pooled |= sums.pooled;
    all.spatial |= sums.spatial;
    all.score |= sums.score;
    all.keep_pooled |= sums.keep_pooled;
    all.keep_spatial |= sums.keep_spatial;
  }
  return all;
}

std::vector<std::string> all_names() {
  std::vector<std::string> names;
  for (const Metric* metric : all_metrics()) names.emplace_back(metric->name);
  return names;
}

}  // namespace

std::string metric_names() {
  return fmt::format("{}", fmt::join(all_names(), ", "));
}

std::vector<const Metric*> read_metrics(const std::string& list) {
  const std::vector<std::string> known = all_names();
  std::vector<bool> wanted(known.size());
  for (const std::string& word : split(list, ',')) {
    const std::string name(trim(word));
    const auto found = std::find(known.begin(), known.end(), name);
    DIFFIT_CHECK(found != known.end(), "`metrics`: unknown '{}'{}; available: {}", name,
                 did_you_mean(name, known), metric_names());
    wanted[static_cast<std::size_t>(found - known.begin())] = true;
  }
  std::vector<const Metric*> chosen;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i]) chosen.push_back(all_metrics()[i]);
  }
  return chosen;
}

FeatureSums sums_of_samples(const EvaluationOptions& options) {
  return united(options, &Metric::sums_of_samples);
}

FeatureSums sums_of_reference(const EvaluationOptions& options) {
  return united(options, &Metric::sums_of_reference);
}

std::vector<const Metric*> possible_metrics(const FeatureInfo& network, const Available& samples,
                                            const Available& reference) {
  std::vector<const Metric*> possible;
  for (const Metric* metric : all_metrics()) {
    if (lacking(*metric, network, samples, reference).empty()) possible.push_back(metric);
  }
  return possible;
}

std::vector<std::string> too_few_images(const FeatureInfo& network, const Available& samples,
                                        const Available& reference) {
  std::vector<std::string> lines;
  for (const Metric* metric : all_metrics()) {
    const std::string why = only_too_few(*metric, network, samples, reference);
    if (!why.empty()) lines.push_back(left_out(*metric, why));
  }
  return lines;
}

std::vector<std::string> remove_too_few_images(std::vector<const Metric*>& metrics,
                                               const FeatureInfo& network, const Available& samples,
                                               const Available& reference) {
  std::vector<std::string> lines;
  std::vector<const Metric*> kept;
  for (const Metric* metric : metrics) {
    const std::string why = only_too_few(*metric, network, samples, reference);
    if (why.empty()) {
      kept.push_back(metric);
    } else {
      lines.push_back(left_out(*metric, why));
    }
  }
  if (kept.empty()) return {};
  metrics = std::move(kept);
  return lines;
}

void check_metrics(const std::vector<const Metric*>& metrics, const FeatureInfo& network,
                   const Available& samples, const Available& reference) {
  for (const Metric* metric : metrics) {
    const std::string what = lacking(*metric, network, samples, reference);
    DIFFIT_CHECK(what.empty(), "`metrics`: {} is not available: {}", metric->name, what);
  }
}

std::vector<MetricResult> evaluate(const FeatureInfo& network, const FeatureSet& samples,
                                   const FeatureSet& reference, const EvaluationOptions& options) {
  check_metrics(options.metrics, network, Available::of(samples), Available::of(reference));
  std::vector<MetricResult> results;
  std::optional<PrecisionRecall> neighbours;
  for (const Metric* metric : options.metrics)
    results.push_back(metric->compute({*metric, network, samples, reference, options, neighbours}));
  return results;
}

}  // namespace diffit::metrics

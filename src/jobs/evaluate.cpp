#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "config/json_text.h"
#include "jobs/advance.h"
#include "jobs/evaluate_job.h"
#include "jobs/guard.h"
#include "jobs/no_monitor.h"

namespace diffit::jobs {

namespace {

EvaluationOptions options_of(const EvaluateSpec& spec) {
  EvaluationOptions wanted;
  if (!spec.metrics.empty()) wanted.metrics = read_metrics(fmt::format("{}", fmt::join(spec.metrics, ",")));
  wanted.bootstrap = {spec.bootstrap, spec.confidence, static_cast<std::uint64_t>(spec.seed)};
  wanted.intervals = spec.bootstrap >= 2;
  wanted.half = spec.half;
  wanted.extrapolate = spec.extrapolate;
  wanted.seed = static_cast<std::uint64_t>(spec.seed);
  return wanted;
}

/// Chooses the metrics that the inputs allow, or checks those that were asked for. Returns notes about
/// metrics that are left out.
std::vector<std::string> choose_metrics(const EvaluateSpec& spec, const FeatureInfo& network,
                                        const FeatureSide& samples, const FeatureSide& reference,
                                        EvaluationOptions& wanted) {
  Available of_samples = samples.available();
  const Available of_reference = reference.available();
  if (spec.limit > 0) of_samples.images = std::min(of_samples.images, spec.limit);
  std::vector<std::string> notes;
  if (wanted.metrics.empty()) {
    wanted.metrics = possible_metrics(network, of_samples, of_reference);
    notes = too_few_images(network, of_samples, of_reference);
    DIFFIT_CHECK(!wanted.metrics.empty(), "no metric can be computed from {} and {}{}", spec.samples,
                 spec.reference, notes.empty() ? "" : ": " + notes.front());
  } else {
    notes = remove_too_few_images(wanted.metrics, network, of_samples, of_reference);
  }
  check_metrics(wanted.metrics, network, of_samples, of_reference);
  return notes;
}

}  // namespace

Evaluation run_evaluation(const EvaluateSpec& spec, const RuntimeOptions& options, Monitor& monitor) {
  const Runtime runtime = open_runtime(options, /*prefer_bf16=*/false, monitor);
  EvaluationOptions wanted = options_of(spec);
  const auto network = load_feature_network(spec.features, runtime.device, runtime.dtype);
  Evaluation e;
  e.network = network->info();
  e.confidence = spec.confidence;
  e.samples = std::make_unique<FeatureSide>(spec.samples, e.network, "SAMPLES");
  e.reference = std::make_unique<FeatureSide>(spec.reference, e.network, "REF");
  const FeatureSide &samples = *e.samples, &reference = *e.reference;
  check_same_images(samples, reference);
  e.notes = choose_metrics(spec, e.network, samples, reference, wanted);
  for (const FeatureSide* side : {&samples, &reference}) {
    for (std::string& note : side->notes()) e.notes.push_back(std::move(note));
  }
  DIFFIT_CHECK(!wanted.extrapolate || samples.has_images(),
               "`extrapolate` needs SAMPLES as images; {} is a statistics file", spec.samples);
  if (reference.has_images() && !reference.is_statistics()) {
    monitor.note(
        fmt::format("{}: computing features of {} images, as every evaluation will; run `diffit stats {} -o "
                    "ref.npz --features {}` once and use ref.npz instead",
                    spec.reference, reference.images(), spec.reference, spec.features));
  }
  if (reference.is_statistics() && reference.info().identity.empty()) {
    e.notes.push_back(
        fmt::format("{} does not name its feature network; assuming {}", spec.reference, e.network.name));
  }
  if (runtime.dtype != at::kFloat)
    e.notes.push_back("features are computed in bfloat16; published metrics use float32");

  const FeatureSet real = reference.measure(*network, sums_of_reference(wanted), {spec.batch, 0, &monitor});
  const FeatureSet made =
      samples.measure(*network, sums_of_samples(wanted), {spec.batch, spec.limit, &monitor});
  wanted.progress = [&](const std::string& what, double share) {
    advance(monitor, {std::lround(100 * share), 100, "% of " + what}, "interrupted while computing " + what);
  };
  e.metrics = evaluate(e.network, made, real, wanted);
  return e;
}

Json Evaluation::json() const {
  Json object = Json::object(), intervals = Json::object(), errors = Json::object(), details = Json::object();
  Json warnings = notes;
  for (const MetricResult& f : metrics) {
    object[f.key] = f.value;
    if (f.interval) {
      intervals[f.key] = {f.interval->low, f.interval->high};
      errors[f.key] = f.interval->deviation;
    }
    details[f.key] = f.details;
    details[f.key]["samples"] = f.samples;
    details[f.key]["reference"] = f.reference;
    for (const std::string& warning : f.warnings) warnings.push_back(warning);
  }
  object["network"] = {{"name", network.name}, {"identity", network.identity}};
  object["samples"] = samples->describe();
  object["reference"] = reference->describe();
  object["intervals"] = intervals;
  object["standard_errors"] = errors;
  object["confidence"] = confidence;
  object["details"] = details;
  object["warnings"] = warnings;
  return object;
}

}  // namespace diffit::jobs

namespace diffit {

EvaluateResult evaluate(const EvaluateSpec& spec, const RuntimeOptions& runtime, Monitor& monitor) {
  return jobs::guarded([&] {
    const jobs::Evaluation e = jobs::run_evaluation(spec, runtime, monitor);
    EvaluateResult result;
    for (const metrics::MetricResult& f : e.metrics) {
      MetricValue metric{f.key, f.label, f.value, {}, f.samples, f.reference};
      if (f.interval) metric.interval = {f.interval->low, f.interval->high};
      result.metrics.push_back(std::move(metric));
      result.warnings.insert(result.warnings.end(), f.warnings.begin(), f.warnings.end());
    }
    result.warnings.insert(result.warnings.end(), e.notes.begin(), e.notes.end());
    result.json = config::json_text(e.json());
    return result;
  });
}

EvaluateResult evaluate(const EvaluateSpec& spec, const RuntimeOptions& runtime) {
  return evaluate(spec, runtime, jobs::no_monitor());
}

}  // namespace diffit

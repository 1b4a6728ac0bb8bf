// Precision and recall of manifolds of nearest neighbours.
#include "base/error.h"
#include "metrics/single_features.h"

namespace diffit::metrics {

namespace {

constexpr const char* kSource = "Kynkaanniemi, Karras, Laine, Lehtinen, Aila 2019";

MetricResult compute(const MetricInput& in, const char* name, double PrecisionRecall::*value,
                     at::Tensor PrecisionRecall::*inside) {
  const at::Tensor &a = in.samples.features, &b = in.reference.features;
  if (!in.neighbours) {
    in.neighbours = precision_recall(a, b, {.half = in.options.half, .progress = [&](double share) {
                                              in.progress("precision and recall", share);
                                            }});
  }
  const std::int64_t samples = a.size(0), reference = b.size(0);
  MetricResult r = in.result(name, name, *in.neighbours.*value, samples, reference);
  in.set_interval(r, *in.neighbours.*inside);
  r.details["neighbours"] = 3;
  if (in.options.half) r.details["float16"] = true;
  if (in.network.inception && (samples != kPublishedSamples || reference != kPublishedReference)) {
    r.warnings.push_back(
        fmt::format("{} of {} samples and {} reference images: it moves with both, and published values "
                    "use 50000 and 10000",
                    r.label, samples, reference));
  } else if (samples < 1000 || reference < 1000) {
    r.warnings.push_back(fmt::format(
        "{} from {} samples and {} reference images: with so few images the neighbourhoods are too large",
        r.label, samples, reference));
  }
  return r;
}

}  // namespace

extern const Metric metric_precision;
const Metric metric_precision{
    .name = "precision",
    .title = "precision: share of samples within the manifold of the reference",
    .source = kSource,
    .least_images = 4,
    .sums_of_samples = keep_features,
    .sums_of_reference = keep_features,
    .lacking = lacking_features,
    .compute =
        [](const MetricInput& in) {
          return compute(in, "precision", &PrecisionRecall::precision, &PrecisionRecall::sample_inside);
        },
};

extern const Metric metric_recall;
const Metric metric_recall{
    .name = "recall",
    .title = "recall: share of reference images within the manifold of the samples",
    .source = kSource,
    .least_images = 4,
    .sums_of_samples = keep_features,
    .sums_of_reference = keep_features,
    .lacking = lacking_features,
    .compute =
        [](const MetricInput& in) {
          return compute(in, "recall", &PrecisionRecall::recall, &PrecisionRecall::reference_inside);
        },
};

}  // namespace diffit::metrics

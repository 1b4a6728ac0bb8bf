// Kernel distance (KID).
#include "base/error.h"
#include "metrics/kernel_distance.h"
#include "metrics/single_features.h"

namespace diffit::metrics {

namespace {

MetricResult compute(const MetricInput& in) {
  in.progress("kernel distance", 0);
  const KernelDistance distance =
      kernel_distance(in.samples.features, in.reference.features,
                      {.seed = in.options.seed, .influence = in.options.intervals});
  MetricResult r = in.result("kid", in.network.inception ? "KID" : "KD-" + in.network.name, distance.value,
                             in.samples.features.size(0), in.reference.features.size(0));
  in.set_interval(r, distance.influence);
  r.details["subset_size"] = distance.subset_size;
  r.details["subset_deviation"] = distance.deviation;
  if (distance.subset_size < 1000) {
    r.warnings.push_back(
        fmt::format("{}: uses subsets of {}, while published values use 1000: its variance is higher",
                    r.label, distance.subset_size));
  }
  return r;
}

}  // namespace

extern const Metric metric_kid;
const Metric metric_kid{
    .name = "kid",
    .title = "kernel distance (KID with Inception-v3)",
    .source = "Binkowski, Sutherland, Arbel, Gretton 2018",
    .least_images = 2,
    .sums_of_samples = keep_features,
    .sums_of_reference = keep_features,
    .lacking = lacking_features,
    .compute = compute,
};

}  // namespace diffit::metrics

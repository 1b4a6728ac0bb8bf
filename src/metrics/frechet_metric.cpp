// Frechet distances of pooled features (FID) and of a spatial feature map (sFID).
#include "base/error.h"
#include "metrics/extrapolate.h"
#include "metrics/frechet.h"
#include "metrics/metric.h"

namespace diffit::metrics {

namespace {

void warn_of_few(MetricResult& r, const FeatureInfo& network) {
  if (r.samples > 0 && r.samples < (network.inception ? kPublishedSamples : kFewImages)) {
    r.warnings.push_back(
        fmt::format("{} from {} samples: fewer images give a higher value{}; compare it only with values "
                    "from the same number of samples",
                    r.label, r.samples, network.inception ? ", and published values use 50000" : ""));
  }
  if (r.reference > 0 && r.reference < kFewImages) {
    r.warnings.push_back(fmt::format(
        "{} against {} reference images: so few reference images bias it upwards", r.label, r.reference));
  }
}

void warn_of_rank(MetricResult& r, const char* whose, const char* key, std::int64_t rank, std::int64_t width,
                  std::int64_t count) {
  if (rank >= width) return;
  r.warnings.push_back(
      fmt::format("{}: the {} covariance has rank {} of {}{}: the distance is computed exactly, but tells "
                  "little about the distribution",
                  r.label, whose, rank, width,
                  count > 0 && count <= width ? fmt::format(", since there are only {} images", count)
                                              : ": some features never vary"));
  r.details[key] = rank;
}

/// `whole`: `features` are those of all images that the moments of the samples were taken of.
MetricResult frechet(const MetricInput& in, const std::string& key, const std::string& label,
                     const Gaussian& a, const Gaussian& b, const at::Tensor& features, bool whole) {
  in.progress(label, 0);
  const bool influence = in.options.intervals && whole;
  const FrechetDistance distance(a, b, influence);
  MetricResult r = in.result(key, label, distance.value(), a.count, b.count);
  if (influence) in.set_interval(r, distance.influence(features));
  warn_of_few(r, in.network);
  warn_of_rank(r, "samples'", "rank_samples", distance.rank_a(), distance.width(), a.count);
  warn_of_rank(r, "reference's", "rank_reference", distance.rank_b(), distance.width(), b.count);
  return r;
}

bool is_whole(const at::Tensor& features, const Gaussian& of) {
  return features.defined() && features.size(0) == of.count;
}

MetricResult fid(const MetricInput& in) {
  const Gaussian &a = *in.samples.pooled, &b = *in.reference.pooled;
  const at::Tensor& features = in.samples.features;
  const bool whole = is_whole(features, a);
  MetricResult r = frechet(in, in.network.frechet_key(), in.network.frechet_label(), a, b, features, whole);
  if (in.options.extrapolate) {
    DIFFIT_CHECK(whole, "`extrapolate`: needs samples as images, not their statistics");
    const Extrapolation line =
        extrapolate_frechet(features, b, {.seed = in.options.seed, .progress = [&](double share) {
                                            in.progress(r.label + " at infinity", share);
                                          }});
    r.details["infinity"] = {{"value", line.value},
                             {"slope", line.slope},
                             {"residual", line.residual},
                             {"smallest_subset", line.smallest}};
  }
  return r;
}

MetricResult sfid(const MetricInput& in) {
  const Gaussian& a = *in.samples.spatial;
  const at::Tensor& features = in.samples.spatial_features;
  return frechet(in, "sfid", "sFID", a, *in.reference.spatial, features, is_whole(features, a));
}

}  // namespace

extern const Metric metric_fid;
const Metric metric_fid{
    .name = "fid",
    .title = "Frechet distance (FID with Inception-v3)",
    .source = "Heusel, Ramsauer, Unterthiner, Nessler, Hochreiter 2017",
    .least_images = 2,
    .from_moments = true,
    .sums_of_samples =
        [](const EvaluationOptions& o) {
          return FeatureSums{.pooled = true, .keep_pooled = o.intervals || o.extrapolate};
        },
    .sums_of_reference = [](const EvaluationOptions&) { return FeatureSums{.pooled = true}; },
    .lacking = [](const FeatureInfo&, const Available& samples, const Available& reference) -> std::string {
      if (!samples.pooled) return "SAMPLES have no mean and covariance";
      return reference.pooled ? "" : "REF has no mu and sigma";
    },
    .compute = fid,
};

extern const Metric metric_sfid;
const Metric metric_sfid{
    .name = "sfid",
    .title = "Frechet distance of a spatial feature map (sFID)",
    .source = "Nash, Menick, Dieleman, Battaglia 2021",
    .least_images = 2,
    .from_moments = true,
    .sums_of_samples =
        [](const EvaluationOptions& o) {
          return FeatureSums{.pooled = false, .spatial = true, .keep_spatial = o.intervals};
        },
    .sums_of_reference =
        [](const EvaluationOptions&) { return FeatureSums{.pooled = false, .spatial = true}; },
    .lacking = [](const FeatureInfo& network, const Available& samples,
                  const Available& reference) -> std::string {
      if (network.spatial == 0) return fmt::format("{} has no feature map for it", network.name);
      if (!samples.spatial) return "SAMPLES are statistics without mu_s and sigma_s";
      return reference.spatial
                 ? ""
                 : "REF are statistics without mu_s and sigma_s; compute them with diffit stats";
    },
    .compute = sfid,
};

}  // namespace diffit::metrics

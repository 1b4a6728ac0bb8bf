// The job behind diffit/statistics.h.
#include "diffit/statistics.h"

#include "base/output_check.h"
#include "base/random.h"
#include "jobs/feature_side.h"
#include "jobs/guard.h"
#include "jobs/no_monitor.h"
#include "jobs/unfinished.h"
#include "metrics/feature_source.h"
#include "runtime/runtime.h"

namespace diffit::jobs {

namespace {

/// Collects the features of `keep` of `all` images, drawn without replacement and left in their order.
class Keeper {
 public:
  Keeper(std::int64_t keep, std::int64_t all)
      : keep_(static_cast<std::uint64_t>(keep)), all_(static_cast<std::uint64_t>(all)) {}

  void add(std::int64_t first, const at::Tensor& features) {
    std::vector<std::int64_t> rows;
    for (std::int64_t i = 0; i < features.size(0); ++i) {
      const std::uint64_t place =
          permuted(static_cast<std::uint64_t>(first + i), all_, 0, stream_of(Purpose::subset, 0));
      if (place < keep_) rows.push_back(i);
    }
    if (!rows.empty()) kept_.push_back(features.index_select(0, at::tensor(rows, at::kLong)));
  }
  at::Tensor features() const { return kept_.empty() ? at::Tensor() : at::cat(kept_); }

 private:
  std::uint64_t keep_, all_;
  std::vector<at::Tensor> kept_;
};

StatisticsResult run_statistics(const StatisticsSpec& spec, const RuntimeOptions& options, Monitor& monitor) {
  DIFFIT_CHECK(fs::path(spec.output).extension() == ".npz", "`output` {}: wanted a name that ends in .npz",
               spec.output);
  DIFFIT_CHECK(spec.limit >= 0 && spec.batch >= 0 && spec.keep >= 0,
               "`limit`, `batch` and `keep`: wanted at least 0, got {}, {} and {}", spec.limit, spec.batch,
               spec.keep);
  check_output_file(spec.output, "`output`");
  refuse_unfinished(spec.data, "`data`");
  const Runtime runtime = open_runtime(options, /*prefer_bf16=*/false, monitor);
  const auto network = load_feature_network(spec.features, runtime.device, runtime.dtype);
  const FeatureInfo& info = network->info();
  const auto source = open_feature_source(spec.data);
  const std::int64_t count = spec.limit > 0 ? std::min(spec.limit, source->size()) : source->size();
  DIFFIT_CHECK(count >= 2, "{}: a covariance needs at least two images, got {}", spec.data, count);

  Keeper keeper(spec.keep, count);
  const FeatureSet set = measure_features(*source, *network, {.pooled = true, .spatial = true},
                                          {spec.batch, spec.limit, &monitor}, spec.data,
                                          [&](std::int64_t first, const Features& features) {
                                            if (spec.keep > 0) keeper.add(first, features.pooled);
                                          });
  Statistics statistics;
  statistics.info = {set.images,      info.name,          info.identity,     source->height(),
                     source->width(), source->channels(), source->describe()};
  statistics.pooled = set.pooled;
  statistics.spatial = set.spatial;
  statistics.features = keeper.features();
  write_statistics(spec.output, statistics);

  StatisticsResult result;
  result.images = set.images;
  result.width = source->width();
  result.height = source->height();
  result.channels = source->channels();
  result.network = info.name;
  result.identity = info.identity;
  result.features = info.width;
  result.spatial_features = info.spatial;
  result.kept_features = statistics.features.defined() ? statistics.features.size(0) : 0;
  if (set.images <= info.width) {
    result.warnings.push_back(fmt::format(
        "{} images with {} features: the covariance does not have full rank, so distances to it are not "
        "meaningful",
        set.images, info.width));
  }
  const SourceFacts& facts = source->images().facts();
  result.warnings.insert(result.warnings.end(), facts.warnings.begin(), facts.warnings.end());
  return result;
}

}  // namespace

}  // namespace diffit::jobs

namespace diffit {

StatisticsResult compute_statistics(const StatisticsSpec& spec, const RuntimeOptions& runtime,
                                    Monitor& monitor) {
  return jobs::guarded([&] { return jobs::run_statistics(spec, runtime, monitor); });
}

StatisticsResult compute_statistics(const StatisticsSpec& spec, const RuntimeOptions& runtime) {
  return compute_statistics(spec, runtime, jobs::no_monitor());
}

}  // namespace diffit

#include "metrics/evaluate.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "metrics/extrapolate.h"
#include "metrics/frechet.h"
#include "metrics/kernel_distance.h"
#include "metrics/precision_recall.h"

namespace diffit::metrics {

namespace {

constexpr std::array kNames{"fid", "sfid", "is", "precision", "recall", "kid"};
constexpr std::int64_t kProtocol = 50000, kFew = 10000;  // images of published figures; of a figure at all

bool wants(const EvaluationOptions& options, std::initializer_list<Metric> any) {
  return std::any_of(options.metrics.begin(), options.metrics.end(),
                     [&](Metric m) { return std::find(any.begin(), any.end(), m) != any.end(); });
}

class Evaluation {
 public:
  Evaluation(const FeatureInfo& network, const FeatureSet& samples, const FeatureSet& reference,
             const EvaluationOptions& options)
      : network_(network), samples_(samples), reference_(reference), options_(options) {}

  std::vector<Figure> operator()() {
    check_metrics(options_.metrics, network_, Available::of(samples_), Available::of(reference_));
    for (const Metric metric : options_.metrics) {
      switch (metric) {
        case Metric::frechet:
          frechet(metric, network_.frechet_key(), network_.frechet_label(), samples_.pooled,
                  reference_.pooled, samples_.features);
          break;
        case Metric::spatial_frechet:
          frechet(metric, "sfid", "sFID", samples_.spatial, reference_.spatial, samples_.spatial_features);
          break;
        case Metric::inception_score:
          inception_score();
          break;
        case Metric::precision:
        case Metric::recall:
          precision_or_recall(metric);
          break;
        case Metric::kernel:
          kernel();
          break;
      }
    }
    return std::move(figures_);
  }

 private:
  void say(const std::string& what, double share) const {
    if (options_.progress) options_.progress(what, share);
  }

  Figure& add(Metric metric, std::string key, std::string label, double value, std::int64_t samples,
              std::int64_t reference) {
    Figure& f = figures_.emplace_back();
    f.metric = metric;
    f.key = std::move(key);
    f.label = std::move(label);
    f.value = value;
    f.samples = samples;
    f.reference = reference;
    return f;
  }

  void set_interval(Figure& f, const at::Tensor& influence) const {
    if (options_.intervals && influence.defined() && influence.size(0) > 1)
      f.interval = bootstrap_interval(f.value, influence, options_.bootstrap);
  }

  void frechet(Metric metric, const std::string& key, const std::string& label,
               const std::optional<Gaussian>& a, const std::optional<Gaussian>& b,
               const at::Tensor& features) {
    say(label, 0);
    // Statistics may keep the features of some of their images: these are not what the moments were taken
    // of.
    const bool whole = features.defined() && features.size(0) == a->count;
    const bool influence = options_.intervals && whole;
    const FrechetDistance distance(*a, *b, influence);
    Figure& f = add(metric, key, label, distance.value(), a->count, b->count);
    if (influence) set_interval(f, distance.influence(features));
    warn_of_few(f);
    if (distance.rank_a() < distance.width())
      warn_of_rank(f, "samples'", distance.rank_a(), distance.width(), a->count);
    if (distance.rank_b() < distance.width())
      warn_of_rank(f, "reference's", distance.rank_b(), distance.width(), b->count);
    if (options_.extrapolate && metric == Metric::frechet) {
      DIFFIT_CHECK(whole, "`extrapolate`: needs samples as images, not their statistics");
      const Extrapolation line = extrapolate_frechet(
          features, *b,
          {.seed = options_.seed, .progress = [&](double share) { say(label + " at infinity", share); }});
      f.details["infinity"] = {{"value", line.value},
                               {"slope", line.slope},
                               {"residual", line.residual},
                               {"smallest_subset", line.smallest}};
    }
  }

  void warn_of_few(Figure& f) const {
    if (f.samples > 0 && f.samples < (network_.inception ? kProtocol : kFew)) {
      f.warnings.push_back(
          fmt::format("{} from {} samples: fewer images give a higher value{}; compare it only with values "
                      "from the same number of samples",
                      f.label, f.samples, network_.inception ? ", and published values use 50000" : ""));
    }
    if (f.reference > 0 && f.reference < kFew) {
      f.warnings.push_back(fmt::format(
          "{} against {} reference images: so few reference images bias it upwards", f.label, f.reference));
    }
  }

  static void warn_of_rank(Figure& f, const char* whose, std::int64_t rank, std::int64_t width,
                           std::int64_t count) {
    f.warnings.push_back(
        fmt::format("{}: the {} covariance has rank {} of {}{}: the distance is computed exactly, but tells "
                    "little about the distribution",
                    f.label, whose, rank, width,
                    count > 0 && count <= width ? fmt::format(", since there are only {} images", count)
                                                : ": some features never vary"));
    f.details[std::string(whose) == "samples'" ? "rank_samples" : "rank_reference"] = rank;
  }

  void inception_score() {
    const InceptionScore& score = *samples_.score;
    const std::int64_t count = score.influence.size(0);
    Figure& f = add(Metric::inception_score, "is", network_.inception ? "IS" : "IS-" + network_.name,
                    score.value, count, 0);
    set_interval(f, score.influence);
    f.details["blocks"] = score.blocks;
    f.details["block_deviation"] = score.deviation;
    if (count % 5000 != 0) {
      f.warnings.push_back(
          fmt::format("{}: computed over blocks of 5000, of which the last has only {} but the same weight: "
                      "fewer images give a lower value",
                      f.label, count % 5000));
    }
  }

  void precision_or_recall(Metric metric) {
    const bool precision = metric == Metric::precision;
    if (!neighbours_) {
      neighbours_ = precision_recall(
          samples_.features, reference_.features,
          {.half = options_.half, .progress = [&](double share) { say("precision and recall", share); }});
    }
    const std::int64_t samples = samples_.features.size(0), reference = reference_.features.size(0);
    Figure& f = add(metric, precision ? "precision" : "recall", precision ? "precision" : "recall",
                    precision ? neighbours_->precision : neighbours_->recall, samples, reference);
    set_interval(f, precision ? neighbours_->sample_inside : neighbours_->reference_inside);
    f.details["neighbours"] = 3;
    if (options_.half) f.details["float16"] = true;
    if (network_.inception && (samples != kProtocol || reference != kFew)) {
      f.warnings.push_back(
          fmt::format("{} of {} samples and {} reference images: it moves with both, and published values "
                      "use 50000 and 10000",
                      f.label, samples, reference));
    } else if (samples < 1000 || reference < 1000) {
      f.warnings.push_back(fmt::format(
          "{} from {} samples and {} reference images: with so few images the neighbourhoods are too large",
          f.label, samples, reference));
    }
  }

  void kernel() {
    say("kernel distance", 0);
    const KernelDistance distance = kernel_distance(samples_.features, reference_.features,
                                                    {.seed = options_.seed, .influence = options_.intervals});
    Figure& f = add(Metric::kernel, "kid", network_.inception ? "KID" : "KD-" + network_.name, distance.value,
                    samples_.features.size(0), reference_.features.size(0));
    set_interval(f, distance.influence);
    f.details["subset_size"] = distance.subset_size;
    f.details["subset_deviation"] = distance.deviation;
    if (distance.subset_size < 1000) {
      f.warnings.push_back(
          fmt::format("{}: uses subsets of {}, while published values use 1000: its variance is higher",
                      f.label, distance.subset_size));
    }
  }

  const FeatureInfo& network_;
  const FeatureSet& samples_;
  const FeatureSet& reference_;
  const EvaluationOptions& options_;
  std::optional<PrecisionRecall> neighbours_;
  std::vector<Figure> figures_;
};

}  // namespace

std::string metric_name(Metric metric) {
  return kNames[static_cast<std::size_t>(metric)];
}

std::vector<Metric> read_metrics(const std::string& list) {
  const std::vector<std::string> known(kNames.begin(), kNames.end());
  std::array<bool, kNames.size()> wanted{};
  for (const std::string& word : split(list, ',')) {
    const std::string name(trim(word));
    const auto found = std::find(known.begin(), known.end(), name);
    DIFFIT_CHECK(found != known.end(), "`metrics`: unknown '{}'{}; available: {}", name,
                 did_you_mean(name, known), fmt::join(known, ", "));
    wanted[static_cast<std::size_t>(found - known.begin())] = true;
  }
  std::vector<Metric> metrics;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i]) metrics.push_back(static_cast<Metric>(i));
  }
  return metrics;
}

FeatureSums sums_of_samples(const EvaluationOptions& options) {
  const bool neighbours = wants(options, {Metric::precision, Metric::recall, Metric::kernel});
  const bool frechet = wants(options, {Metric::frechet}), spatial = wants(options, {Metric::spatial_frechet});
  return {.pooled = frechet,
          .spatial = spatial,
          .score = wants(options, {Metric::inception_score}),
          .keep_pooled = neighbours || (frechet && (options.intervals || options.extrapolate)),
          .keep_spatial = spatial && options.intervals};
}

FeatureSums sums_of_reference(const EvaluationOptions& options) {
  return {.pooled = wants(options, {Metric::frechet}),
          .spatial = wants(options, {Metric::spatial_frechet}),
          .score = false,
          .keep_pooled = wants(options, {Metric::precision, Metric::recall, Metric::kernel}),
          .keep_spatial = false};
}

Available Available::of(const FeatureSet& set) {
  return {set.pooled.has_value(), set.spatial.has_value(), set.features.defined(), set.score.has_value(),
          set.features.defined() ? set.features.size(0) : 0};
}

namespace {

/// Whether a side has fewer images than the metric takes; says so.
std::string too_few(Metric metric, const Available& samples, const Available& reference) {
  const bool moments = metric == Metric::frechet || metric == Metric::spatial_frechet;
  const bool neighbours = metric == Metric::precision || metric == Metric::recall;
  if (metric == Metric::inception_score) return "";
  const std::int64_t least = neighbours ? 4 : 2;
  for (const auto& [side, name] : {std::pair(&samples, "SAMPLES"), std::pair(&reference, "REF")}) {
    if (moments && !side->measured) continue;
    if (side->images > 0 && side->images < least)
      return fmt::format("it needs at least {} images, {} has {}", least, name, side->images);
  }
  return "";
}

/// What keeps the metric from being given; empty where nothing does.
std::string lacking_of_any_number(Metric metric, const FeatureInfo& network, const Available& samples,
                                  const Available& reference) {
  constexpr const char* kStatistics = "it needs images, but SAMPLES are statistics";
  switch (metric) {
    case Metric::frechet:
      if (!samples.pooled) return "SAMPLES have no mean and covariance";
      return reference.pooled ? "" : "REF has no mu and sigma";
    case Metric::spatial_frechet:
      if (network.spatial == 0) return fmt::format("{} has no feature map for it", network.name);
      if (!samples.spatial) return "SAMPLES are statistics without mu_s and sigma_s";
      return reference.spatial
                 ? ""
                 : "REF are statistics without mu_s and sigma_s; compute them with diffit stats";
    case Metric::inception_score:
      if (network.classes == 0) return fmt::format("{} has no classes", network.name);
      return samples.score ? "" : kStatistics;
    case Metric::precision:
    case Metric::recall:
    case Metric::kernel:
      if (!samples.features) return kStatistics;
      return reference.features ? ""
                                : "REF has neither images (arr_0) nor features; give the images, or a "
                                  "statistics file of diffit stats";
  }
  return "";
}

std::string lacking(Metric metric, const FeatureInfo& network, const Available& samples,
                    const Available& reference) {
  const std::string what = lacking_of_any_number(metric, network, samples, reference);
  return what.empty() ? too_few(metric, samples, reference) : what;
}

}  // namespace

std::vector<std::string> too_few_images(const FeatureInfo& network, const Available& samples,
                                        const Available& reference) {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    const auto metric = static_cast<Metric>(i);
    if (!lacking_of_any_number(metric, network, samples, reference).empty()) continue;
    if (const std::string what = too_few(metric, samples, reference); !what.empty())
      lines.push_back(fmt::format("{}: not computed: {}", kNames[i], what));
  }
  return lines;
}

std::vector<std::string> remove_too_few_images(std::vector<Metric>& metrics, const FeatureInfo& network,
                                               const Available& samples, const Available& reference) {
  std::vector<std::string> lines;
  std::vector<Metric> kept;
  for (const Metric metric : metrics) {
    const std::string what = lacking_of_any_number(metric, network, samples, reference).empty()
                                 ? too_few(metric, samples, reference)
                                 : std::string();
    if (what.empty()) {
      kept.push_back(metric);
    } else {
      lines.push_back(fmt::format("{}: not computed: {}", metric_name(metric), what));
    }
  }
  if (kept.empty()) return {};
  metrics = std::move(kept);
  return lines;
}

std::vector<Metric> possible_metrics(const FeatureInfo& network, const Available& samples,
                                     const Available& reference) {
  std::vector<Metric> metrics;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (lacking(static_cast<Metric>(i), network, samples, reference).empty())
      metrics.push_back(static_cast<Metric>(i));
  }
  return metrics;
}

void check_metrics(const std::vector<Metric>& metrics, const FeatureInfo& network, const Available& samples,
                   const Available& reference) {
  for (const Metric metric : metrics) {
    const std::string what = lacking(metric, network, samples, reference);
    DIFFIT_CHECK(what.empty(), "`metrics`: {} is not available: {}", metric_name(metric), what);
  }
}

std::vector<Figure> evaluate(const FeatureInfo& network, const FeatureSet& samples,
                             const FeatureSet& reference, const EvaluationOptions& options) {
  return Evaluation(network, samples, reference, options)();
}

}  // namespace diffit::metrics

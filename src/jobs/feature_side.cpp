#include "jobs/feature_side.h"

#include <algorithm>

#include "base/error.h"
#include "jobs/advance.h"
#include "jobs/unfinished.h"
#include "metrics/feature_source.h"

namespace diffit::jobs {

namespace {

/// Images a pass: large enough for the products, small enough that a map of the first layers fits.
std::int64_t batch_for(std::int64_t height, std::int64_t width) {
  return std::clamp<std::int64_t>((1 << 16) / std::max<std::int64_t>(height * width, 1), 32, 256);
}

}  // namespace

FeatureSide::FeatureSide(const std::string& path, const FeatureInfo& network, std::string what)
    : path_(path), what_(std::move(what)) {
  DIFFIT_CHECK(fs::exists(path), "{}: {}: there is no such file or folder", what_, path);
  refuse_unfinished(path, what_);
  if (metrics::is_statistics(path)) {
    statistics_ = true;
    Statistics read = read_statistics(path);
    check_network(read, network, path);
    info_ = std::move(read.info);
    known_.images = info_.images;
    known_.pooled = std::move(read.pooled);
    if (network.spatial > 0) known_.spatial = std::move(read.spatial);
    known_.features = std::move(read.features);
    if (read.arr_images == 0) return;
  }
  source_ = open_feature_source(path);
  if (!statistics_) take_info_of_source();
}

FeatureSide::FeatureSide(std::unique_ptr<FeatureSource> source, std::string what)
    : path_(source->describe()), what_(std::move(what)), source_(std::move(source)) {
  take_info_of_source();
}

void FeatureSide::take_info_of_source() {
  info_.images = source_->size();
  info_.height = source_->height();
  info_.width = source_->width();
  info_.channels = source_->channels();
  info_.source = source_->describe();
}

FeatureSide::~FeatureSide() = default;

Available FeatureSide::available() const {
  if (!statistics_) return {.images = images(), .measured = true};
  return {true, known_.spatial.has_value(), known_.features.defined() || has_images(), has_images(),
          known_.features.defined() ? known_.features.size(0) : images()};
}

std::vector<std::string> FeatureSide::notes() const {
  if (!source_) return {};
  const SourceFacts& facts = source_->images().facts();
  std::vector<std::string> notes;
  for (const std::string& warning : facts.warnings) notes.push_back(path_ + ": " + warning);
  for (const std::string& note : facts.notes) {
    if (note.starts_with("arr_1")) notes.push_back(note);
  }
  return notes;
}

std::int64_t FeatureSide::images() const {
  return source_ ? source_->size() : 0;
}

FeatureSet FeatureSide::measure(const FeatureNetwork& network, const FeatureSums& sums,
                                const MeasureOptions& options) const {
  FeatureSums left = sums;
  if (statistics_) left.pooled = left.spatial = left.keep_spatial = false;
  if (known_.features.defined()) left.keep_pooled = false;
  FeatureSet set = known_;
  const bool pass = left.pooled || left.spatial || left.score || left.keep_pooled || left.keep_spatial;
  if (!pass || !source_) return set;
  FeatureSet measured = measure_features(*source_, network, left, options, what_);
  if (!statistics_) return measured;
  set.score = std::move(measured.score);
  if (left.keep_pooled) set.features = std::move(measured.features);
  return set;
}

Json FeatureSide::describe() const {
  Json object = {{"path", path_}, {"statistics", statistics_}, {"pictures", nullptr}};
  if (info_.images > 0) object["pictures"] = info_.images;
  if (info_.height > 0) {
    object["height"] = info_.height;
    object["width"] = info_.width;
    object["channels"] = info_.channels;
  }
  if (!info_.source.empty()) object["source"] = info_.source;
  return object;
}

void check_same_images(const FeatureSide& samples, const FeatureSide& reference) {
  const StatisticsInfo &a = samples.info(), &b = reference.info();
  if (a.height == 0 || b.height == 0) return;
  DIFFIT_CHECK(a.height == b.height && a.width == b.width,
               "{}: images of {} x {}, but the reference {} is of {} x {}; resize both to the same size "
               "(diffit data convert --size), and compute the reference again with diffit stats",
               samples.path(), a.width, a.height, reference.path(), b.width, b.height);
  const auto kind = [](std::int64_t channels) { return channels == 1 ? "grey" : "RGB"; };
  DIFFIT_CHECK(a.channels == b.channels,
               "{}: {} images, but the reference {} is of {} images; a greyscale image converted to RGB has "
               "other statistics if it was resized or compressed: use the same kind for both",
               samples.path(), kind(a.channels), reference.path(), kind(b.channels));
}

FeatureSet measure_features(const FeatureSource& source, const FeatureNetwork& network,
                            const FeatureSums& sums, const MeasureOptions& options, const std::string& what,
                            const FeatureSink& each) {
  const std::int64_t all = options.limit > 0 ? std::min(options.limit, source.size()) : source.size();
  const std::int64_t batch = options.batch > 0 ? options.batch : batch_for(source.height(), source.width());
  FeatureSum sum(network.info(), sums, all);
  for_each_batch(source, batch, all, [&](const at::Tensor& images, std::int64_t first) {
    const Features features = network.extract(images);
    sum.add(features);
    if (each) each(first, features);
    advance(*options.monitor, {first + images.size(0), all, "images of " + what},
            "interrupted while measuring " + what);
  });
  return sum.finish();
}

}  // namespace diffit::jobs

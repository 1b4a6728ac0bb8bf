#include "jobs/train_evaluation.h"

#include <optional>

#include "base/error.h"
#include "jobs/advance.h"
#include "jobs/feature_side.h"
#include "metrics/feature_source.h"

namespace diffit::jobs {

struct TrainEvaluation::State {
  EvalSection section;
  Monitor& monitor;
  EvaluationOptions wanted;
  std::unique_ptr<FeatureNetwork> network;
  std::unique_ptr<FeatureSide> reference;
  std::optional<FeatureSet> measured;  // of the reference
};

namespace {

/// What a training reads, as it reads it but for augmentation.
class DatasetImages : public ImageSource {
 public:
  explicit DatasetImages(std::shared_ptr<const Dataset> dataset) : dataset_(std::move(dataset)) {}
  std::int64_t size() const override { return dataset_->size(); }
  Image read(std::int64_t index) const override {
    Image p{dataset_->resolution(), dataset_->resolution(), dataset_->channels(), {}};
    p.pixels.resize(static_cast<std::size_t>(p.width * p.height * p.channels));
    dataset_->read(index, p.pixels);
    return p;
  }
  std::optional<ImageInfo> uniform() const override {
    return ImageInfo{dataset_->resolution(), dataset_->resolution(), dataset_->channels()};
  }
  std::int64_t classes() const override { return dataset_->classes(); }
  std::int64_t label(std::int64_t index) const override { return dataset_->label(index); }
  std::string describe() const override { return dataset_->source().describe(); }
  std::string name(std::int64_t index) const override { return dataset_->source().name(index); }

 private:
  std::shared_ptr<const Dataset> dataset_;
};

/// Error(invalid) where an image-space model's samples are of another size or kind than the reference.
void check_samples(const Recipe& recipe, const StatisticsInfo& reference) {
  if (recipe.kind() != ModelKind::image || reference.height == 0) return;
  const std::int64_t side = recipe.model.value("resolution", std::int64_t{0});
  const std::int64_t channels = recipe.model.value("in_channels", std::int64_t{0});
  DIFFIT_CHECK(reference.height == side && reference.width == side && reference.channels == channels,
               "the reference is {} x {} x {}, but the samples are {} x {} x {}", reference.width,
               reference.height, reference.channels, side, side, channels);
}

}  // namespace

TrainEvaluation::TrainEvaluation(const Recipe& recipe, const TrainingData& data, const std::string& where,
                                 const Runtime& machine, Monitor& monitor)
    : state_(new State{recipe.eval, monitor, {}, {}, {}, {}}) {
  State& s = *state_;
  s.wanted.intervals = false;
  try {
    s.wanted.metrics = read_metrics(s.section.metrics);
    // The features of published figures are float32, whatever the training's products are.
    s.network = load_feature_network(s.section.features, machine.device, at::kFloat);
    if (s.section.reference.empty()) {
      s.reference = std::make_unique<FeatureSide>(
          std::make_unique<FeatureSource>(
              std::make_unique<DatasetImages>(std::get<std::shared_ptr<const Dataset>>(data))),
          "data.path");
    } else {
      s.reference = std::make_unique<FeatureSide>(s.section.reference, s.network->info(), "eval.reference");
    }
    check_metrics(s.wanted.metrics, s.network->info(), {}, s.reference->available());
    check_samples(recipe, s.reference->info());
  } catch (const Error& error) {
    throw Error(error.kind(), fmt::format("{}: table eval: {}", where, error.what()));
  }
}

TrainEvaluation::~TrainEvaluation() = default;

Json TrainEvaluation::operator()(const Exhibit& averaged) {
  State& s = *state_;
  if (!averaged.sample) fail("this model has no samples to evaluate");
  if (!s.measured) {
    s.measured = s.reference->measure(*s.network, sums_of_reference(s.wanted), {0, 0, &s.monitor});
  }
  FeatureSum sum(s.network->info(), sums_of_samples(s.wanted), s.section.images);
  averaged.sample(s.section.images, s.section.steps, [&](const at::Tensor& images) {
    stop_if_cancelled(s.monitor, "interrupted");
    sum.add(s.network->extract(images));
    s.monitor.progress({sum.images(), s.section.images, "samples evaluated"});
  });
  Json figures = Json::object();
  for (const MetricResult& f : evaluate(s.network->info(), sum.finish(), *s.measured, s.wanted))
    figures[f.key] = f.value;
  return figures;
}

}  // namespace diffit::jobs

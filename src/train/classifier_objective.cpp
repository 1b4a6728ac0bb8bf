// Classifier trained with cross entropy for its learned features.
#include "base/error.h"
#include "model/classifier_file.h"
#include "runtime/autocast.h"
#include "train/dataset_images.h"
#include "train/pixel_objective.h"

namespace diffit::training {

namespace {

/// Batch size for evaluation on the held-out set.
constexpr std::int64_t kTestBatch = 250;

class ClassifierObjective : public PixelObjective {
 public:
  ClassifierObjective(const Recipe& recipe, std::shared_ptr<const Dataset> dataset, at::Device device,
                      at::ScalarType dtype)
      : PixelObjective(recipe, std::move(dataset), device, dtype),
        network_(read_classifier_config(recipe_.model, "model")),
        test_(open_test_set(recipe_, *dataset_)) {
    initialise(network_.parameters(), seed());
  }

  const ParameterList& parameters() const override { return network_.parameters(); }

  using Objective::loss;

  /// Images [B, R, R, C], labels [B].
  Inputs next_inputs() override {
    const Batch& batch = next_batch();
    return {images_of(batch), at::tensor(batch.labels, at::kLong)};
  }

  at::Tensor loss(const Inputs& inputs) override {
    const Autocast autocast(device_.type(), dtype_);
    const at::Tensor logits = network_(inputs[0]).logits;
    return at::cross_entropy_loss(logits, inputs[1], {}, at::Reduction::Mean, /*ignore_index=*/-100,
                                  recipe_.loss.label_smoothing);
  }

  Image reals() const override { return {}; }

  Exhibit exhibit() const override {
    const auto network = std::make_shared<Classifier>(network_.config());
    Exhibit exhibit;
    exhibit.parameters = network->parameters();
    if (test_) exhibit.measure = [this, network] { return held_out(*network); };
    return exhibit;
  }

  Metadata label_metadata() const override { return metadata_of_classes(network_.config().classes); }

  void save(const fs::path& path, const ParameterList& parameters, const Metadata& extra) const override {
    save_classifier(path, parameters, network_.config(), extra);
  }

 private:
  /// Returns accuracy and mean cross entropy in nats on the held-out set.
  Json held_out(const Classifier& network) const {
    const at::NoGradGuard no_grad;
    const std::int64_t count = test_->size();
    double right = 0, nats = 0;
    for (std::int64_t first = 0; first < count; first += kTestBatch) {
      const std::int64_t size = std::min(kTestBatch, count - first);
      const std::vector<std::int64_t> indices = index_range(first, size);
      const at::Tensor labels = image_labels(*test_, indices);
      const at::Tensor logits = network(image_bytes(*test_, indices).to(at::kFloat) / 127.5 - 1).logits;
      right += (logits.argmax(1) == labels).sum().item<double>();
      nats += at::cross_entropy_loss(logits, labels, {}, at::Reduction::Sum).item<double>();
    }
    return {{"accuracy", right / static_cast<double>(count)},
            {"cross_entropy", nats / static_cast<double>(count)}};
  }

  Classifier network_;
  std::shared_ptr<const Dataset> test_;  // null if the recipe gives none
};

}  // namespace

std::shared_ptr<const Dataset> open_test_set(const Recipe& recipe, const Dataset& dataset) {
  if (recipe.data.test.empty()) return nullptr;
  auto test = open_dataset(recipe.data.test, recipe.data.size);
  DIFFIT_CHECK(test->resolution() == dataset.resolution() && test->channels() == dataset.channels(),
               "data.test: {}: wanted {} x {} images with {} channels like data.path, got {} x {} with {}",
               recipe.data.test, dataset.resolution(), dataset.resolution(), dataset.channels(),
               test->resolution(), test->resolution(), test->channels());
  DIFFIT_CHECK(test->classes() > 0 && test->classes() <= dataset.classes(),
               "data.test: {}: wanted labels of at most {} classes like data.path, got {}", recipe.data.test,
               dataset.classes(), test->classes());
  return test;
}

std::unique_ptr<Objective> make_classifier_objective(const Recipe& recipe,
                                                     std::shared_ptr<const Dataset> dataset,
                                                     at::Device device, at::ScalarType dtype) {
  return std::make_unique<ClassifierObjective>(recipe, std::move(dataset), device, dtype);
}

}  // namespace diffit::training

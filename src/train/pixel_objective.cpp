#include "train/pixel_objective.h"

#include "data/class_names.h"

namespace diffit::training {

PixelObjective::PixelObjective(const Recipe& recipe, std::shared_ptr<const Dataset> dataset,
                               at::Device device, at::ScalarType dtype)
    : recipe_(recipe), dataset_(std::move(dataset)), device_(device), dtype_(dtype) {}

void PixelObjective::seek(std::int64_t images) {
  next_image_ = images;
  loader_.reset();
}

void PixelObjective::set_portion(const Portion& portion) {
  portion_ = portion;
  loader_.reset();
}

const Batch& PixelObjective::next_batch() {
  if (!loader_) {
    loader_ = std::make_unique<Loader>(dataset_, Augmentation{recipe_.data.flip, recipe_.data.augment},
                                       seed(), recipe_.train.microbatch, next_image_,
                                       static_cast<int>(recipe_.data.threads), portion_);
  }
  loader_->next(batch_);
  return batch_;
}

at::Tensor PixelObjective::images_of(const Batch& batch) const {
  const std::int64_t side = dataset_->resolution();
  return at::from_blob(const_cast<float*>(batch.images.data()),
                       {static_cast<std::int64_t>(batch.labels.size()), side, side, dataset_->channels()},
                       at::kFloat);
}

Metadata PixelObjective::metadata_of_classes(std::int64_t classes) const {
  std::vector<std::int64_t> images;
  for (const DataClass& of : dataset_->description().classes) images.push_back(of.images);
  return class_metadata(dataset_->source().facts().class_names, images, classes);
}

std::vector<std::int64_t> PixelObjective::shown() const {
  return shown_images(dataset_->size(), dataset_->classes(), recipe_.sample.images,
                      [this](std::int64_t i) { return dataset_->label(i); });
}

}  // namespace diffit::training

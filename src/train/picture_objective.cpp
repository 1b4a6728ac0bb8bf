#include "train/picture_objective.h"

namespace diffit {

PictureObjective::PictureObjective(const Recipe& recipe, std::shared_ptr<const Dataset> dataset,
                                   at::Device device, at::ScalarType dtype)
    : recipe_(recipe), dataset_(std::move(dataset)), device_(device), dtype_(dtype) {}

void PictureObjective::seek(std::int64_t images) {
  next_image_ = images;
  loader_.reset();
}

const Batch& PictureObjective::next_batch() {
  if (!loader_) {
    loader_ = std::make_unique<Loader>(dataset_, Augmentation{recipe_.data.flip, recipe_.data.augment},
                                       seed(), recipe_.train.microbatch, next_image_,
                                       static_cast<int>(recipe_.data.threads));
  }
  loader_->next(batch_);
  return batch_;
}

at::Tensor PictureObjective::pictures_of(const Batch& batch) const {
  const std::int64_t side = dataset_->resolution();
  return at::from_blob(const_cast<float*>(batch.pictures.data()),
                       {static_cast<std::int64_t>(batch.labels.size()), side, side, dataset_->channels()},
                       at::kFloat)
      .to(device_);
}

std::vector<std::int64_t> PictureObjective::shown() const {
  return shown_pictures(dataset_->size(), dataset_->classes(), recipe_.sample.pictures,
                        [this](std::int64_t i) { return dataset_->label(i); });
}

}  // namespace diffit

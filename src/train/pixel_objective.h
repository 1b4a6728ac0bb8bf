// Base class of objectives that train on images: manages the data and the position in it.
#pragma once

#include "train/objective.h"

namespace diffit::training {

class PixelObjective : public Objective {
 public:
  void seek(std::int64_t images) override;
  void set_portion(const Portion& portion) override;

 protected:
  PixelObjective(const Recipe& recipe, std::shared_ptr<const Dataset> dataset, at::Device device,
                 at::ScalarType dtype);

  std::uint64_t seed() const { return static_cast<std::uint64_t>(recipe_.train.seed); }
  /// Reads the next microbatch; the reference is valid until the next call.
  const Batch& next_batch();
  /// Returns the images of a batch, [B, R, R, C] in [-1, 1]: a view of its memory.
  at::Tensor images_of(const Batch& batch) const;
  /// Metadata of a model with `classes` classes: the names and counts of the data set.
  Metadata metadata_of_classes(std::int64_t classes) const;
  /// Indices of the images shown in a grid of sample.images images.
  std::vector<std::int64_t> shown() const;

  const Recipe recipe_;
  const std::shared_ptr<const Dataset> dataset_;
  const at::Device device_;
  const at::ScalarType dtype_;

 private:
  std::int64_t next_image_ = 0;
  Portion portion_;
  std::unique_ptr<Loader> loader_;
  Batch batch_;
};

}  // namespace diffit::training

// What objectives that learn from pictures share: the data, and where in it they stand.
#pragma once

#include "train/objective.h"

namespace diffit {

class PictureObjective : public Objective {
 public:
  void seek(std::int64_t images) override;

 protected:
  PictureObjective(const Recipe& recipe, std::shared_ptr<const Dataset> dataset, at::Device device,
                   at::ScalarType dtype);

  std::uint64_t seed() const { return static_cast<std::uint64_t>(recipe_.train.seed); }
  /// The next microbatch; valid until the next call.
  const Batch& next_batch();
  /// Its pictures [B, R, R, C] in [-1, 1] on the device.
  at::Tensor pictures_of(const Batch& batch) const;
  /// Numbers of the pictures that a grid of sample.pictures shows.
  std::vector<std::int64_t> shown() const;

  const Recipe recipe_;
  const std::shared_ptr<const Dataset> dataset_;
  const at::Device device_;
  const at::ScalarType dtype_;

 private:
  std::int64_t next_image_ = 0;
  std::unique_ptr<Loader> loader_;
  Batch batch_;
};

}  // namespace diffit

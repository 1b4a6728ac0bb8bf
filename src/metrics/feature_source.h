// Images of one size for a feature network, in batches that are decoded ahead.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "data/source.h"

namespace diffit {

/// Set of images that all have the size and the number of channels of the first one. Gray images in an RGB
/// set are repeated to three channels. Each image is checked when it is read.
class FeatureSource {
 public:
  /// Reads the first image. Throws Error(invalid) if there is none.
  explicit FeatureSource(std::unique_ptr<const PictureSource> pictures);

  std::int64_t size() const { return pictures_->size(); }
  std::int64_t height() const { return height_; }
  std::int64_t width() const { return width_; }
  /// Number of channels, 1 or 3.
  std::int64_t channels() const { return channels_; }
  /// Description for messages: "EDM zip fashion.zip".
  std::string describe() const { return pictures_->describe(); }
  const PictureSource& pictures() const { return *pictures_; }

  /// Copies image `index` as [H, W, C] uint8 to `out`. Throws Error(invalid), naming the image, if it is
  /// malformed, has another size, or is RGB in a gray set. Thread-safe.
  void read(std::int64_t index, std::uint8_t* out) const;

 private:
  std::unique_ptr<const PictureSource> pictures_;
  std::int64_t height_ = 0, width_ = 0, channels_ = 0;
};

/// Opens any format supported by open_source: npz, zip, folder, IDX or CIFAR.
std::unique_ptr<FeatureSource> open_feature_source(const fs::path& path);

/// Receives images [b, H, W, C] uint8 on the CPU with indices first .. first + b - 1.
using PictureBatchSink = std::function<void(const at::Tensor& pictures, std::int64_t first)>;

/// Passes images 0 .. count - 1 to `sink` in order, `batch` at a time (the last batch may be smaller), on the
/// caller's thread. `threads` workers (0: none, negative: one per core) decode the next few batches in the
/// meantime. Memory: threads + 3 batches. An exception thrown while reading an image is rethrown in place of
/// its batch, after the batches before it; if several images fail, the first one in order is reported.
void for_each_batch(const FeatureSource& source, std::int64_t batch, std::int64_t count,
                    const PictureBatchSink& sink, int threads = -1);

}  // namespace diffit

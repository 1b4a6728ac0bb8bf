// Images of one size for a feature network, in batches that are decoded ahead.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "data/description.h"

namespace diffit::metrics {

/// A set of images that all have the size of most; where any is RGB, grey ones are repeated.
class FeatureSource {
 public:
  /// Reads the headers of all images. Error(invalid) where there is none that can be read.
  explicit FeatureSource(std::unique_ptr<const ImageSource> images);

  std::int64_t size() const { return images_->size(); }
  std::int64_t height() const { return height_; }
  std::int64_t width() const { return width_; }
  /// Number of channels, 1 or 3.
  std::int64_t channels() const { return channels_; }
  /// Description for messages: "EDM zip fashion.zip".
  std::string describe() const { return images_->describe(); }
  const ImageSource& images() const { return *images_; }
  /// Error(invalid) where the header of one of the first `count` images is bad or says another size.
  void check_first(std::int64_t count) const;

  /// Copies image `index` as [H, W, C] to `out`. Error(invalid) names one that is malformed or of
  /// another size. Safe from any thread.
  void read(std::int64_t index, std::uint8_t* out) const;

 private:
  void check_size(std::int64_t index, const ImageInfo& image) const;

  std::unique_ptr<const ImageSource> images_;
  ImageScan scan_;
  std::int64_t height_ = 0, width_ = 0, channels_ = 0;
};

/// Whatever open_source takes: npz, zip, folder, IDX or CIFAR. Labels that are none are passed over.
std::unique_ptr<FeatureSource> open_feature_source(const fs::path& path);

/// Receives images [b, H, W, C] uint8 on the CPU with indices first .. first + b - 1.
using ImageBatchSink = std::function<void(const at::Tensor& images, std::int64_t first)>;

/// Passes images 0 .. count - 1 to `sink` in order, `batch` at a time (the last may be smaller), from the
/// caller's thread; `threads` others (0: none, below 0: one a core) decode the next few batches meanwhile.
/// Where the system has fewer threads, fewer decode. Memory: threads + 3 batches. Headers are checked before
/// the first batch (check_first). What reading an image throws is thrown where its batch would come, after
/// the batches before it; of several bad ones the first.
void for_each_batch(const FeatureSource& source, std::int64_t batch, std::int64_t count,
                    const ImageBatchSink& sink, int threads = -1);

}  // namespace diffit::metrics

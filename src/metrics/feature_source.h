// Pictures of one size for a feature network, batch by batch, decoded ahead of whoever looks at them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "data/source.h"

namespace diffit {

/// A set of pictures that all have the size and the channels of the first; a grey one among colour is
/// repeated. The others are checked as they are read.
class FeatureSource {
 public:
  /// Reads the first picture. Error(invalid) where there is none.
  explicit FeatureSource(std::unique_ptr<const PictureSource> pictures);

  std::int64_t size() const { return pictures_->size(); }
  std::int64_t height() const { return height_; }
  std::int64_t width() const { return width_; }
  /// 1 or 3.
  std::int64_t channels() const { return channels_; }
  /// For people: "EDM zip fashion.zip".
  std::string describe() const { return pictures_->describe(); }
  const PictureSource& pictures() const { return *pictures_; }

  /// Copies picture `index` as [H, W, C] to `out`. Error(invalid) names one that is malformed, of another
  /// size, or colour in a set that begins in grey. Safe from any thread.
  void read(std::int64_t index, std::uint8_t* out) const;

 private:
  std::unique_ptr<const PictureSource> pictures_;
  std::int64_t height_ = 0, width_ = 0, channels_ = 0;
};

/// Whatever open_source takes: npz, zip, folder, IDX or CIFAR.
std::unique_ptr<FeatureSource> open_feature_source(const fs::path& path);

/// Takes pictures [b, H, W, C] uint8 on the CPU, those numbered first .. first + b - 1.
using PictureBatchSink = std::function<void(const at::Tensor& pictures, std::int64_t first)>;

/// Hands pictures 0 .. count - 1 to `sink` in order, `batch` at a time (the last may be smaller), from the
/// caller's thread; `threads` others (0: none, below 0: one a core) decode the next few batches meanwhile.
/// Memory: threads + 3 batches. What reading a picture throws is thrown where its batch would come, after the
/// batches before it; of several bad ones the first.
void for_each_batch(const FeatureSource& source, std::int64_t batch, std::int64_t count,
                    const PictureBatchSink& sink, int threads = -1);

}  // namespace diffit

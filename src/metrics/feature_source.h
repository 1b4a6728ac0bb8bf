// Pictures of one size for a feature network: npz, zip, folder, IDX or CIFAR, decoded ahead.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/file.h"

namespace diffit {

/// Takes pictures [b, H, W, C] uint8 on the CPU, in order.
using PictureBatchSink = std::function<void(const at::Tensor& pictures)>;

class FeatureSource {
 public:
  virtual ~FeatureSource() = default;

  virtual std::int64_t size() const = 0;
  virtual std::int64_t height() const = 0;
  virtual std::int64_t width() const = 0;
  /// 1 or 3: those of the first picture.
  virtual std::int64_t channels() const = 0;
  /// For people: "EDM zip fashion.zip".
  virtual std::string describe() const = 0;
  /// Hands pictures 0 .. count - 1 to `sink` in batches; the last may be smaller. Reads as it goes. A grey
  /// picture among RGB ones is repeated. Error(invalid) names the picture that is malformed, of another size,
  /// or RGB among grey ones.
  virtual void read(std::int64_t batch, std::int64_t count, const PictureBatchSink& sink) const = 0;
};

/// An .npz with arr_0 uint8 [N, H, W, C], or whatever open_source takes. Error(invalid) where it is neither,
/// holds no picture, or object arrays.
std::unique_ptr<FeatureSource> open_feature_source(const fs::path& path);

/// The same as source.read, which runs in a thread of its own up to two batches ahead of `sink`; `sink` is
/// called from the caller's. What either throws is thrown here.
void for_each_batch(const FeatureSource& source, std::int64_t batch, std::int64_t count,
                    const PictureBatchSink& sink);

}  // namespace diffit

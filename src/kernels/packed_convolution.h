// Convolution for inference whose weight is prepacked by oneDNN.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>

#include "base/layers.h"

namespace diffit::kernels {

/// Computes y = conv(x, W) + b for maps [B, H, W, C], optionally followed by ReLU, without gradients. On the
/// CPU, in float32 and in natively supported bfloat16, the weight is packed for oneDNN and ReLU is fused. On
/// other devices and dtypes, and with DIFFIT_KERNELS=definition, it calls at::conv2d and at::relu, which is
/// also the definition. The result of an image depends on the other images only by rounding. Thread-safe.
class PackedConvolution {
 public:
  PackedConvolution() = default;
  /// weight [out, in, kh, kw] and bias [out] in the dtype and on the device of the computation. `padding`:
  /// zeros on each side of rows and of columns. `like`: typical size of x [B, in, H, W], for which the
  /// packing is chosen; any size works. A packed weight replaces the original.
  PackedConvolution(const at::Tensor& weight, const at::Tensor& bias, std::array<std::int64_t, 2> padding,
                    std::int64_t stride, std::array<std::int64_t, 4> like);

  /// x [B, H, W, in] -> [B, H', W', out], contiguous, H' = (H + 2 padding - kh) / stride + 1 rounded down.
  at::Tensor operator()(const at::Tensor& x, bool relu) const;

  bool packed() const { return packed_; }

 private:
  at::Tensor weight_, bias_;
  std::int64_t in_ = 0;
  std::array<std::int64_t, 2> kernel_{}, padding_{};
  at::ScalarType type_ = at::kFloat;
  at::Device device_ = at::kCPU;
  std::int64_t stride_ = 1;
  bool packed_ = false;
};

}  // namespace diffit::kernels

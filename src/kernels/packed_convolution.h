// Convolutions of networks that are only evaluated: the weight lies once, as the machine's fastest
// convolution wants it.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>

#include "base/layers.h"

namespace diffit::kernels {

/// y = conv(x, W) + b over maps [B, H, W, C], then ReLU where asked, without gradients. On the CPU, in
/// float32 and where it is native in bfloat16, the weight is packed for oneDNN and ReLU is computed with the
/// convolution; elsewhere (other devices and types, DIFFIT_KERNELS=definition) it is at::conv2d and at::relu,
/// which is also what they mean. An image's result does not depend on the other images beyond rounding.
/// Any number of threads may call at a time.
class PackedConvolution {
 public:
  PackedConvolution() = default;
  /// weight [out, in, kh, kw] in the type and on the device to compute in, bias [out] likewise; `padding`:
  /// zeros on either side of rows and of columns; `like`: a size of x [B, in, H, W] that is usual, which
  /// decides the packing; any may come. The weight is not kept where it is packed.
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

// Linear layer for inference whose weight is prepacked by oneDNN.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "base/layers.h"

namespace diffit::kernels {

/// Computes x W^T + b in one dtype, without gradients. On the CPU, in float32 and in natively supported
/// bfloat16, the weight is packed for oneDNN, and the operations after the product are fused with it. On
/// other devices and dtypes, and with DIFFIT_KERNELS=definition, it calls at::linear and the operations one
/// by one, which is also the definition. A row of the result depends on the other rows only by rounding.
/// Thread-safe.
class PackedLinear {
 public:
  PackedLinear() = default;
  /// weight [out, in] in the dtype and on the device of the computation; bias [out], or undefined for none. A
  /// packed weight replaces the original. `rows`: typical number of rows, for which the packing is chosen;
  /// any number works.
  PackedLinear(const at::Tensor& weight, const at::Tensor& bias, std::int64_t rows);

  /// x [..., in] -> [..., out].
  at::Tensor operator()(const at::Tensor& x) const;
  /// gelu_tanh(x W^T + b).
  at::Tensor gelu_tanh(const at::Tensor& x) const;
  /// residual + x W^T + b; residual [..., out].
  at::Tensor add_to(const at::Tensor& residual, const at::Tensor& x) const;

  bool packed() const { return packed_; }

 private:
  at::Tensor weight_, bias_;
  std::int64_t in_ = 0, out_ = 0;
  at::ScalarType type_ = at::kFloat;
  at::Device device_ = at::kCPU;
  bool packed_ = false;
};

}  // namespace diffit::kernels

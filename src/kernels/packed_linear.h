// Linear layers of networks that are only evaluated: the weight lies once, as the machine's fastest matrix
// product wants it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "base/layers.h"

namespace diffit::kernels {

/// x W^T + b in one type, without gradients. On the CPU, in float32 and where it is native in bfloat16, the
/// weight is packed for oneDNN and what follows the product is computed with it; elsewhere (other devices and
/// types, DIFFIT_KERNELS=definition) it is at::linear and the operations one by one, which is also what they
/// mean. A result's row does not depend on the other rows beyond rounding. Any number of threads may call at
/// a time.
class PackedLinear {
 public:
  PackedLinear() = default;
  /// weight [out, in] in the type and on the device to compute in, bias [out] or undefined likewise. The
  /// weight is not kept where it is packed. `rows`: how many are usual, which decides the packing; any number
  /// may come.
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

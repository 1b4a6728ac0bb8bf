// What the operations ask before they take a fast path.
#pragma once

#include <ATen/core/Tensor.h>

#include <initializer_list>

#include "kernels/cpu/element.h"

namespace diffit::kernels {

/// Whether the CPU kernels may be used on x: switched on, compiled for this processor, x a float32 or
/// bfloat16 tensor on the CPU.
bool takes_cpu_kernel(const at::Tensor& x);

/// Whether LibTorch's oneDNN multiplies matrices of this type natively.
bool onednn_takes(at::ScalarType type);

/// Whether autograd must record an operation on these.
bool needs_grad(std::initializer_list<at::Tensor> tensors);

/// The element type of a tensor for which takes_cpu_kernel holds.
cpu::Element element_of(const at::Tensor& x);

}  // namespace diffit::kernels

// Predicates that select the fast path of an operation.
#pragma once

#include <ATen/core/Tensor.h>

#include <initializer_list>
#include <optional>

#include "kernels/cpu/element.h"

namespace diffit::kernels {

/// Returns true if the CPU kernels are enabled and support this processor, and x is a float32 or bfloat16
/// tensor on the CPU.
bool takes_cpu_kernel(const at::Tensor& x);

/// Returns true if oneDNN in LibTorch supports matrix products of this dtype natively.
bool onednn_takes(at::ScalarType type);

/// Returns true if autograd must record an operation on these tensors.
bool needs_grad(std::initializer_list<at::Tensor> tensors);

/// An undefined tensor as autograd and ATen take it.
std::optional<at::Tensor> optional(const at::Tensor& x);

/// Element type of a tensor for which takes_cpu_kernel() is true.
cpu::Element element_of(const at::Tensor& x);

}  // namespace diffit::kernels

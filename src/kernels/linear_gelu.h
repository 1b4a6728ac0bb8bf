// A linear layer followed by GELU.
#pragma once

#include <ATen/core/Tensor.h>

#include "base/layers.h"

namespace diffit::kernels {

/// gelu_tanh(linear(x, weight, bias)) of kernels/ops.h. On a GPU without gradients, the epilogue of the
/// product adds the bias and takes the GELU in float32.
at::Tensor linear_gelu_tanh(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

}  // namespace diffit::kernels

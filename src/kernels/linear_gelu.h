// A linear layer followed by GELU.
#pragma once

#include <ATen/core/Tensor.h>

#include "base/layers.h"

namespace diffit::kernels {

/// gelu_tanh(linear(x, weight, bias)) of kernels/ops.h. On a GPU without gradients, the epilogue of the
/// product adds the bias and takes the GELU in float32.
at::Tensor linear_gelu_tanh(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

/// The same by the epilogue, for x and weight [out, in] on a GPU and bias [out], of one dtype; computes no
/// gradients.
at::Tensor linear_gelu_epilogue(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

}  // namespace diffit::kernels

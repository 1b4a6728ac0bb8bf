// Linear layers and convolutions on a GPU in bfloat16: LibTorch's products forward and backward, with
// gradients of weights in float32 as the products leave them and gradients of biases by a kernel of our own.
#pragma once

#include <ATen/core/Tensor.h>

#include "base/layers.h"

namespace diffit::kernels {

/// Whether cuda_linear() and cuda_conv2d() take these arguments: on a GPU with libdiffit_cuda.so, float32
/// weights under autocast to bfloat16, with a gradient to be computed.
bool takes_cuda_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);

/// As linear() and conv2d() of kernels/ops.h.
at::Tensor cuda_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias);
at::Tensor cuda_conv2d(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                       std::int64_t stride);

/// Sums of the columns of a contiguous matrix [rows, columns] of bfloat16 or float32, in float32; by LibTorch
/// where the CUDA kernels do not take it. The same input gives the same bits.
at::Tensor column_sum(const at::Tensor& x);

}  // namespace diffit::kernels

// The addition of a branch to a residual stream and the LayerNorm of the sum, as one operation.
#pragma once

#include <ATen/core/Tensor.h>

#include "base/layers.h"

namespace diffit::kernels {

struct SumAndNorm {
  at::Tensor sum;     // of x's shape
  at::Tensor normal;  // LayerNorm(sum) over the last axis, without affine
};

/// Returns x + branch and its LayerNorm; with an undefined branch, x and its LayerNorm. x, branch [..., C]
/// contiguous, float32 or bfloat16. Differentiable. On a GPU under autocast to bfloat16 the normal form is
/// bfloat16, the type of the products that read it; elsewhere it has the type of the sum.
SumAndNorm residual_layer_norm(const at::Tensor& x, const at::Tensor& branch, double eps);

}  // namespace diffit::kernels

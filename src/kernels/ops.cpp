#include "kernels/ops.h"

#include "kernels/pch.h"

namespace diffit {

using at::Tensor;

Tensor layer_norm(const Tensor& x, double eps) {
  return definition::layer_norm(x, eps);
}

Tensor gelu_tanh(const Tensor& x) {
  return definition::gelu_tanh(x);
}

Tensor group_norm(const Tensor& x, std::int64_t groups, const Tensor& weight, const Tensor& bias, double eps,
                  bool silu) {
  return definition::group_norm(x, groups, weight, bias, eps, silu);
}

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  return definition::linear(x, weight, bias);
}

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, std::int64_t stride) {
  return definition::conv2d(x, weight, bias, stride);
}

Tensor upsample2(const Tensor& x) {
  return definition::upsample2(x);
}

}  // namespace diffit

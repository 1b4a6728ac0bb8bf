#include "kernels/linear_gelu.h"

#include <ATen/autocast_mode.h>

#include "kernels/dispatch.h"
#include "kernels/ops.h"
#include "runtime/pch.h"

namespace diffit::kernels {

at::Tensor linear_gelu_epilogue(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape.back() = weight.size(0);
  return at::_addmm_activation(bias, x.reshape({-1, x.size(-1)}), weight.t(), 1, 1, /*use_gelu=*/true)
      .reshape(shape);
}

at::Tensor linear_gelu_tanh(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const bool in_epilogue = fast_kernels() && x.is_cuda() && x.numel() > 0 && bias.defined() &&
                           at::autocast::is_autocast_enabled(at::kCUDA) && !needs_grad({x, weight, bias});
  if (!in_epilogue) return gelu_tanh(linear(x, weight, bias));
  const at::ScalarType type = at::autocast::get_autocast_dtype(at::kCUDA);
  return linear_gelu_epilogue(x.to(type), weight.to(type), bias.to(type));
}

}  // namespace diffit::kernels

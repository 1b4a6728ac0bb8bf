#include "kernels/cuda_linear.h"

#include <ATen/autocast_mode.h>
#include <c10/core/DeviceGuard.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/cuda_backend.h"
#include "kernels/dispatch.h"
#include "kernels/ops.h"
#include "runtime/pch.h"

namespace diffit::kernels {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

std::optional<Tensor> narrow(const std::optional<Tensor>& bias) {
  return bias ? std::optional<Tensor>(bias->to(at::kBFloat16)) : std::nullopt;
}

/// Rows [n, in] by weight [out, in].
class Linear : public torch::autograd::Function<Linear> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& rows, const Tensor& weight,
                        const std::optional<Tensor>& bias) {
    const Tensor w = weight.to(at::kBFloat16);
    context->save_for_backward({rows, w});
    context->saved_data["bias"] = bias.has_value();
    return bias ? at::addmm(bias->to(at::kBFloat16), rows, w.t()) : at::mm(rows, w.t());
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &rows = saved[0], &w = saved[1];
    const Tensor d_y = gradients[0].to(at::kBFloat16).contiguous();
    Tensor d_x, d_w, d_b;
    if (context->needs_input_grad(0)) d_x = at::mm(d_y, w);
    if (context->needs_input_grad(1)) d_w = at::mm(d_y.t(), rows, at::kFloat);
    if (context->saved_data["bias"].toBool()) d_b = column_sum(d_y);
    return {d_x, d_w, d_b};
  }
};

class Conv2d : public torch::autograd::Function<Conv2d> {
 public:
  /// x [B, H, W, Cin] contiguous.
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight,
                        const std::optional<Tensor>& bias, std::int64_t stride) {
    const Tensor w = weight.to(at::kBFloat16);
    context->save_for_backward({x, w});
    context->saved_data["stride"] = stride;
    context->saved_data["bias"] = bias.has_value();
    const std::int64_t padding = weight.size(-1) / 2;
    return at::convolution(x.permute({0, 3, 1, 2}), w, narrow(bias), {stride, stride}, {padding, padding},
                           {1, 1}, false, {0, 0}, 1)
        .permute({0, 2, 3, 1})
        .contiguous();
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &x = saved[0], &w = saved[1];
    const std::int64_t stride = context->saved_data["stride"].toInt(), padding = w.size(-1) / 2;
    const Tensor d_y = gradients[0].to(at::kBFloat16).contiguous();
    auto [d_x, d_w, none] =
        at::convolution_backward(d_y.permute({0, 3, 1, 2}), x.permute({0, 3, 1, 2}), w, std::nullopt,
                                 {stride, stride}, {padding, padding}, {1, 1}, false, {0, 0}, 1,
                                 {context->needs_input_grad(0), context->needs_input_grad(1), false});
    if (d_x.defined()) d_x = d_x.permute({0, 2, 3, 1}).contiguous();
    if (d_w.defined()) d_w = d_w.to(at::kFloat);
    Tensor d_b;
    if (context->saved_data["bias"].toBool()) d_b = column_sum(d_y.reshape({-1, d_y.size(-1)}));
    return {d_x, d_w, d_b, Tensor()};
  }
};

}  // namespace

bool takes_cuda_linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  return fast_kernels() && x.is_cuda() && x.numel() > 0 && weight.scalar_type() == at::kFloat &&
         at::autocast::is_autocast_enabled(at::kCUDA) &&
         at::autocast::get_autocast_dtype(at::kCUDA) == at::kBFloat16 && has_cuda_kernels() &&
         needs_grad({x, weight, bias});
}

Tensor cuda_linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const Tensor rows = x.to(at::kBFloat16).reshape({-1, x.size(-1)}).contiguous();
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape.back() = weight.size(0);
  return Linear::apply(rows, weight, optional(bias)).reshape(shape);
}

Tensor cuda_conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, std::int64_t stride) {
  return Conv2d::apply(x.to(at::kBFloat16).contiguous(), weight, optional(bias), stride);
}

Tensor column_sum(const Tensor& x) {
  const cuda::ColumnSum shape{x.size(0), static_cast<std::int32_t>(x.size(1)), cuda_element(x.scalar_type())};
  const cuda::Functions* const functions = x.is_cuda() || emulates_cuda() ? cuda_functions() : nullptr;
  if (functions == nullptr || !functions->takes_column_sum(shape) || !is_aligned(x.const_data_ptr()))
    return x.sum(0, false, at::kFloat);
  const c10::DeviceGuard guard(x.device());
  const at::TensorOptions floats = x.options().dtype(at::kFloat);
  const Tensor out = at::empty({x.size(1)}, floats);
  const Tensor workspace =
      at::empty({static_cast<std::int64_t>(functions->column_sum_workspace(shape))}, floats);
  check_cuda(functions->column_sum(shape, x.const_data_ptr(), out.mutable_data_ptr<float>(),
                                   workspace.mutable_data_ptr<float>(), cuda_stream(x)),
             "the sum of columns");
  return out;
}

}  // namespace diffit::kernels

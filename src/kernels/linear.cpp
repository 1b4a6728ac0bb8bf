// Linear layers and convolutions by oneDNN's convolution, which computes each row alone: the result of a row
// does not depend, to the last bit, on the other rows of the batch or on the number of threads. LibTorch's
// own linear depends on both, and takes twice as long in float32.
#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/checks.h"
#include "kernels/cpu/linear.h"
#include "kernels/cuda_linear.h"
#include "kernels/dispatch.h"
#include "kernels/ops.h"
#include "runtime/pch.h"

namespace diffit::kernels {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// The type that autocast wants matrix products of x in: x's own where it is off.
at::ScalarType product_type(const Tensor& x) {
  const bool cast = at::autocast::is_autocast_enabled(at::kCPU) && x.scalar_type() != at::kDouble;
  return cast ? at::autocast::get_autocast_dtype(at::kCPU) : x.scalar_type();
}

bool takes_onednn(const Tensor& x, const Tensor& weight) {
  const bool cast = at::autocast::is_autocast_enabled(at::kCPU);
  return fast_kernels() && x.is_cpu() && x.numel() > 0 && onednn_takes(product_type(x)) &&
         (cast ? weight.scalar_type() == at::kFloat || weight.scalar_type() == at::kBFloat16
               : weight.scalar_type() == x.scalar_type());
}

Tensor cast(at::ScalarType type, const Tensor& x) {
  return x.defined() && x.scalar_type() != type ? at::autocast::cached_cast(type, x, at::kCPU) : x;
}

/// x [B, H, W, Cin], weight [Cout, Cin, k, k] -> [B, H', W', Cout].
Tensor convolve(const Tensor& x, const Tensor& weight, const std::optional<Tensor>& bias,
                std::int64_t stride) {
  const std::int64_t padding = weight.size(-1) / 2;
  return at::mkldnn_convolution(x.permute({0, 3, 1, 2}), weight, bias, {padding, padding}, {stride, stride},
                                {1, 1}, 1)
      .permute({0, 2, 3, 1})
      .contiguous();
}

struct Gradients {
  Tensor weight, bias;
};

class Conv2d : public torch::autograd::Function<Conv2d> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight,
                        const std::optional<Tensor>& bias, std::int64_t stride) {
    context->save_for_backward({x, weight});
    context->saved_data["stride"] = stride;
    context->saved_data["bias"] = bias.has_value();
    return convolve(x, weight, bias, stride);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1];
    const std::int64_t stride = context->saved_data["stride"].toInt(), padding = weight.size(-1) / 2;
    const bool with_bias = context->saved_data["bias"].toBool();
    const Tensor d_y = gradients[0].to(x.scalar_type()).contiguous();
    auto [d_x, d_weight, d_bias] = at::convolution_backward(
        d_y.permute({0, 3, 1, 2}), x.permute({0, 3, 1, 2}), weight, at::IntArrayRef(weight.size(0)),
        {stride, stride}, {padding, padding}, {1, 1}, false, {0, 0}, 1,
        {context->needs_input_grad(0), context->needs_input_grad(1), with_bias});
    if (d_x.defined()) d_x = d_x.permute({0, 2, 3, 1}).contiguous();
    return {d_x, d_weight, d_bias, Tensor()};
  }
};

/// [rows, in] by [out, in]: a 1 x 1 convolution of a map one pixel high.
Tensor multiply(const Tensor& x, const Tensor& weight, const std::optional<Tensor>& bias) {
  const std::int64_t rows = x.size(0), in = x.size(1), out = weight.size(0);
  return convolve(x.reshape({1, 1, rows, in}), weight.reshape({out, in, 1, 1}), bias, 1).reshape({rows, out});
}

/// weight: d_y^T x, bias: column sums of d_y.
Gradients parameter_gradients(const Tensor& x, const Tensor& d_y, bool with_bias) {
  constexpr std::int64_t images = 16;  // from there on LibTorch hands it to oneDNN for any thread count
  const std::int64_t rows = x.size(0), in = x.size(1), out = d_y.size(1);
  if (takes_cpu_kernel(x) && x.scalar_type() == at::kFloat && cpu::takes_linear_gradients(in, out)) {
    const Gradients d = {at::empty({out, in}, x.options()),
                         with_bias ? at::empty({out}, x.options()) : Tensor()};
    cpu::linear_parameter_gradients(rows, in, out, x.const_data_ptr<float>(), d_y.const_data_ptr<float>(),
                                    d.weight.mutable_data_ptr<float>(),
                                    with_bias ? d.bias.mutable_data_ptr<float>() : nullptr);
    return d;
  }
  if (rows % images != 0) return {d_y.t().mm(x), with_bias ? d_y.sum(0) : Tensor()};
  const Tensor like_weight = at::empty({out, in, 1, 1}, x.options());
  const auto as_map = [&](const Tensor& t) {
    return t.reshape({images, 1, rows / images, t.size(1)}).permute({0, 3, 1, 2});
  };
  const auto [none, d_weight, d_bias] =
      at::convolution_backward(as_map(d_y), as_map(x), like_weight, at::IntArrayRef(out), {1, 1}, {0, 0},
                               {1, 1}, false, {0, 0}, 1, {false, true, with_bias});
  return {d_weight.reshape({out, in}), d_bias};
}

class Linear : public torch::autograd::Function<Linear> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight,
                        const std::optional<Tensor>& bias) {
    context->save_for_backward({x, weight});
    context->saved_data["bias"] = bias.has_value();
    return multiply(x, weight, bias);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1];
    const Tensor d_y = gradients[0].to(x.scalar_type()).contiguous();
    Gradients d;
    Tensor d_x;
    if (context->needs_input_grad(0)) d_x = multiply(d_y, weight.t().contiguous(), std::nullopt);
    if (context->needs_input_grad(1)) d = parameter_gradients(x, d_y, context->saved_data["bias"].toBool());
    return {d_x, d.weight, d.bias};
  }
};

}  // namespace

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  checks::linear(x, weight, bias);
  if (takes_cuda_linear(x, weight, bias)) return cuda_linear(x, weight, bias);
  if (!takes_onednn(x, weight)) return definition::linear(x, weight, bias);
  const at::ScalarType type = product_type(x);
  const Tensor w = cast(type, weight).contiguous(), b = cast(type, bias);
  const Tensor rows = cast(type, x).reshape({-1, x.size(-1)}).contiguous();
  const Tensor y =
      needs_grad({rows, w, b}) ? Linear::apply(rows, w, optional(b)) : multiply(rows, w, optional(b));
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape.back() = weight.size(0);
  return y.reshape(shape);
}

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, std::int64_t stride) {
  checks::conv2d(x, weight, bias, stride);
  if (takes_cuda_linear(x, weight, bias)) return cuda_conv2d(x, weight, bias, stride);
  if (!takes_onednn(x, weight)) return definition::conv2d(x, weight, bias, stride);
  const at::ScalarType type = product_type(x);
  const Tensor map = cast(type, x).contiguous(), w = cast(type, weight), b = cast(type, bias);
  return needs_grad({map, w, b}) ? Conv2d::apply(map, w, optional(b), stride)
                                 : convolve(map, w, optional(b), stride);
}

}  // namespace diffit::kernels

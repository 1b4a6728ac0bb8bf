#include "kernels/cpu/norm.h"

#include "kernels/dispatch.h"
#include "kernels/ops.h"
#include "kernels/pch.h"

namespace diffit {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

cpu::GroupNormShape shape_of(const Tensor& x, std::int64_t groups, bool silu) {
  const std::int64_t batch = x.size(0), channels = x.size(-1);
  return {batch, x.numel() / (batch * channels), channels, groups, silu};
}

/// y, mean and inverse deviation.
std::array<Tensor, 3> group_norm_on_cpu(const cpu::GroupNormShape& shape, const Tensor& x,
                                        const Tensor& weight, const Tensor& bias, double eps) {
  const Tensor y = at::empty_like(x), mean = at::empty({shape.batch, shape.groups}, at::kFloat),
               inverse = at::empty_like(mean);
  cpu::group_norm_forward(shape, element_of(x), x.const_data_ptr(), weight.const_data_ptr<float>(),
                          bias.const_data_ptr<float>(), eps, y.mutable_data_ptr(),
                          mean.mutable_data_ptr<float>(), inverse.mutable_data_ptr<float>());
  return {y, mean, inverse};
}

class GroupNorm : public torch::autograd::Function<GroupNorm> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight, const Tensor& bias,
                        std::int64_t groups, double eps, bool silu) {
    const auto [y, mean, inverse] = group_norm_on_cpu(shape_of(x, groups, silu), x, weight, bias, eps);
    context->save_for_backward({x, weight, bias, mean, inverse});
    context->saved_data["groups"] = groups;
    context->saved_data["silu"] = silu;
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1], &bias = saved[2], &mean = saved[3], &inverse = saved[4];
    const Tensor d_y = gradients[0].to(x.scalar_type()).contiguous();
    const Tensor d_x = at::empty_like(x), d_weight = at::empty_like(weight), d_bias = at::empty_like(bias);
    cpu::group_norm_backward(
        shape_of(x, context->saved_data["groups"].toInt(), context->saved_data["silu"].toBool()),
        element_of(x), x.const_data_ptr(), weight.const_data_ptr<float>(), bias.const_data_ptr<float>(),
        mean.const_data_ptr<float>(), inverse.const_data_ptr<float>(), d_y.const_data_ptr(),
        d_x.mutable_data_ptr(), d_weight.mutable_data_ptr<float>(), d_bias.mutable_data_ptr<float>());
    return {d_x, d_weight, d_bias, Tensor(), Tensor(), Tensor()};
  }
};

class LayerNorm : public torch::autograd::Function<LayerNorm> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x, double eps) {
    const std::int64_t width = x.size(-1), rows = x.numel() / width;
    const Tensor y = at::empty_like(x), mean = at::empty({rows}, at::kFloat), inverse = at::empty_like(mean);
    cpu::layer_norm_forward(rows, width, element_of(x), x.const_data_ptr(), eps, y.mutable_data_ptr(),
                            mean.mutable_data_ptr<float>(), inverse.mutable_data_ptr<float>());
    context->save_for_backward({x, mean, inverse});
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const Tensor& x = saved[0];
    const Tensor d_y = gradients[0].to(x.scalar_type()).contiguous(), d_x = at::empty_like(x);
    const std::int64_t width = x.size(-1);
    cpu::layer_norm_backward(x.numel() / width, width, element_of(x), x.const_data_ptr(),
                             saved[1].const_data_ptr<float>(), saved[2].const_data_ptr<float>(),
                             d_y.const_data_ptr(), d_x.mutable_data_ptr());
    return {d_x, Tensor()};
  }
};

}  // namespace

Tensor layer_norm(const Tensor& x, double eps) {
  if (!takes_cpu_kernel(x)) return definition::layer_norm(x, eps);
  const Tensor rows = x.contiguous();
  if (needs_grad({x})) return LayerNorm::apply(rows, eps);
  const Tensor y = at::empty_like(rows);
  cpu::layer_norm_forward(rows.numel() / rows.size(-1), rows.size(-1), element_of(rows),
                          rows.const_data_ptr(), eps, y.mutable_data_ptr(), nullptr, nullptr);
  return y;
}

Tensor add_layer_norm(Tensor& stream, const Tensor& added, double eps) {
  if (!takes_cpu_kernel(added) || stream.scalar_type() != at::kFloat || !stream.is_contiguous()) {
    return definition::add_layer_norm(stream, added, eps);
  }
  const Tensor rows = added.contiguous(), y = at::empty_like(rows);
  cpu::add_layer_norm(rows.numel() / rows.size(-1), rows.size(-1), element_of(rows),
                      stream.mutable_data_ptr<float>(), rows.const_data_ptr(), eps, y.mutable_data_ptr());
  return y;
}

Tensor group_norm(const Tensor& x, std::int64_t groups, const Tensor& weight, const Tensor& bias, double eps,
                  bool silu) {
  if (!takes_cpu_kernel(x)) return definition::group_norm(x, groups, weight, bias, eps, silu);
  const Tensor map = x.contiguous(), scale = weight.to(at::kFloat).contiguous(),
               shift = bias.to(at::kFloat).contiguous();
  if (needs_grad({x, weight, bias})) return GroupNorm::apply(map, scale, shift, groups, eps, silu);
  return group_norm_on_cpu(shape_of(map, groups, silu), map, scale, shift, eps)[0];
}

}  // namespace diffit

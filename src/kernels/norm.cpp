#include "kernels/backend.h"

#include <torch/csrc/autograd/custom_function.h>
#include "kernels/checks.h"
#include "kernels/dispatch.h"
#include "kernels/ops.h"
#include "runtime/pch.h"

namespace diffit::kernels {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

class GroupNorm : public torch::autograd::Function<GroupNorm> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight, const Tensor& bias,
                        std::int64_t groups, double eps, bool silu) {
    Saved left;
    const Tensor y = backend_of(x)->group_norm.forward(x, groups, weight, bias, eps, silu, &left);
    variable_list saved = {x, weight, bias};
    saved.insert(saved.end(), left.begin(), left.end());
    context->save_for_backward(std::move(saved));
    context->saved_data["groups"] = groups;
    context->saved_data["eps"] = eps;
    context->saved_data["silu"] = silu;
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const Tensor& x = saved[0];
    const Tensor d_y = gradients[0].to(x.scalar_type()).contiguous();
    const auto [d_x, d_weight, d_bias] = backend_of(x)->group_norm.backward(
        x, context->saved_data["groups"].toInt(), saved[1], saved[2], context->saved_data["eps"].toDouble(),
        context->saved_data["silu"].toBool(), {saved.begin() + 3, saved.end()}, d_y);
    return {d_x, d_weight, d_bias, Tensor(), Tensor(), Tensor()};
  }
};

class LayerNorm : public torch::autograd::Function<LayerNorm> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x, double eps) {
    Saved left;
    const Tensor y = backend_of(x)->layer_norm.forward(x, eps, &left);
    variable_list saved = {x};
    saved.insert(saved.end(), left.begin(), left.end());
    context->save_for_backward(std::move(saved));
    context->saved_data["eps"] = eps;
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const Tensor& x = saved[0];
    const Tensor d_y = gradients[0].to(x.scalar_type()).contiguous();
    return {backend_of(x)->layer_norm.backward(x, context->saved_data["eps"].toDouble(),
                                               {saved.begin() + 1, saved.end()}, d_y),
            Tensor()};
  }
};

}  // namespace

Tensor layer_norm(const Tensor& x, double eps) {
  checks::layer_norm(x, eps);
  const Backend* const backend = backend_of(x);
  if (backend == nullptr || !backend->layer_norm.takes(x)) return definition::layer_norm(x, eps);
  const Tensor rows = x.contiguous();
  return needs_grad({x}) ? LayerNorm::apply(rows, eps) : backend->layer_norm.forward(rows, eps, nullptr);
}

Tensor add_layer_norm(Tensor& stream, const Tensor& added, double eps) {
  checks::add_layer_norm(stream, added, eps);
  const Backend* const backend = backend_of(added);
  if (backend == nullptr || !backend->layer_norm.takes(added) || !stream.is_contiguous())
    return definition::add_layer_norm(stream, added, eps);
  return backend->layer_norm.add(stream, added.contiguous(), eps);
}

Tensor group_norm(const Tensor& x, std::int64_t groups, const Tensor& weight, const Tensor& bias, double eps,
                  bool silu) {
  checks::group_norm(x, groups, weight, bias, eps);
  const Backend* const backend = backend_of(x);
  if (backend == nullptr || !backend->group_norm.takes(x, groups))
    return definition::group_norm(x, groups, weight, bias, eps, silu);
  const Tensor map = x.contiguous(), scale = weight.to(at::kFloat).contiguous(),
               shift = bias.to(at::kFloat).contiguous();
  return needs_grad({x, weight, bias})
             ? GroupNorm::apply(map, scale, shift, groups, eps, silu)
             : backend->group_norm.forward(map, groups, scale, shift, eps, silu, nullptr);
}

}  // namespace diffit::kernels

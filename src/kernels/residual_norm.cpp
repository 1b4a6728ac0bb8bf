#include "kernels/residual_norm.h"

#include <ATen/autocast_mode.h>
#include <c10/core/DeviceGuard.h>
#include <torch/csrc/autograd/custom_function.h>

#include <limits>

#include "kernels/cuda_backend.h"
#include "kernels/dispatch.h"
#include "kernels/ops.h"
#include "runtime/pch.h"

namespace diffit::kernels {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

cuda::ResidualNorm shape_of(const Tensor& x, at::ScalarType narrow, double eps) {
  return {x.numel() / x.size(-1), static_cast<std::int32_t>(x.size(-1)), cuda_element(x.scalar_type()),
          cuda_element(narrow), static_cast<float>(eps)};
}

const void* data(const Tensor& x) {
  return x.defined() ? x.const_data_ptr() : nullptr;
}

/// The type of the normal form; undefined where the kernels do not take the arguments.
std::optional<at::ScalarType> taken(const Tensor& x, const Tensor& branch, double eps) {
  if (!fast_kernels() || !(x.is_cuda() || emulates_cuda()) || x.numel() == 0 || cuda_functions() == nullptr)
    return {};
  const at::ScalarType type = x.scalar_type();
  if (type != at::kFloat && type != at::kBFloat16) return {};
  at::ScalarType narrow = type;
  if (at::autocast::is_autocast_enabled(at::kCUDA)) narrow = at::autocast::get_autocast_dtype(at::kCUDA);
  if (narrow != at::kFloat && narrow != at::kBFloat16) return {};
  if (branch.defined() && branch.scalar_type() != narrow) return {};
  const bool fits = x.size(-1) <= std::numeric_limits<std::int32_t>::max() && x.is_contiguous() &&
                    (!branch.defined() || (branch.is_contiguous() && branch.sizes() == x.sizes())) &&
                    is_aligned(data(x)) && is_aligned(data(branch));
  if (!fits || !cuda_functions()->takes_residual_norm(shape_of(x, narrow, eps))) return {};
  return narrow;
}

class ResidualNorm : public torch::autograd::Function<ResidualNorm> {
 public:
  static variable_list forward(AutogradContext* context, const Tensor& x, const std::optional<Tensor>& given,
                               double eps, at::ScalarType narrow) {
    const Tensor branch = given.value_or(Tensor());
    const c10::DeviceGuard guard(x.device());
    const Tensor sum = branch.defined() ? at::empty_like(x) : x,
                 y = at::empty_like(x, x.options().dtype(narrow));
    const cuda::ResidualNorm shape = shape_of(x, narrow, eps);
    const Tensor statistics = at::empty({2 * shape.rows}, x.options().dtype(at::kFloat));
    cuda::ResidualNormBuffers buffers{};
    buffers.x = x.const_data_ptr();
    buffers.branch = data(branch);
    buffers.sum = branch.defined() ? sum.mutable_data_ptr() : nullptr;
    buffers.y = y.mutable_data_ptr();
    buffers.statistics = statistics.mutable_data_ptr<float>();
    check_cuda(cuda_functions()->residual_norm_forward(shape, buffers, cuda_stream(x)),
               "residual_layer_norm");
    context->saved_data["eps"] = eps;
    context->saved_data["narrow"] = static_cast<std::int64_t>(narrow);
    context->saved_data["branch"] = branch.defined();
    context->set_materialize_grads(false);
    if (!branch.defined()) {
      context->save_for_backward({x, statistics});
      return {y};
    }
    context->save_for_backward({sum, statistics});
    return {y, sum};
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const Tensor& sum = saved[0];
    const c10::DeviceGuard guard(sum.device());
    const auto narrow = static_cast<at::ScalarType>(context->saved_data["narrow"].toInt());
    const bool with_branch = context->saved_data["branch"].toBool();
    Tensor d_y = gradients[0], d_sum = with_branch ? gradients[1] : Tensor();
    if (!d_y.defined()) return {d_sum, with_branch ? d_sum.to(narrow) : Tensor(), Tensor(), Tensor()};
    d_y = aligned(d_y.to(narrow).contiguous());
    if (d_sum.defined()) d_sum = aligned(d_sum.to(sum.scalar_type()).contiguous());
    const Tensor d_x = at::empty_like(sum);
    const bool separate = with_branch && narrow != sum.scalar_type();
    const Tensor d_branch = separate ? at::empty_like(sum, sum.options().dtype(narrow)) : Tensor();
    cuda::ResidualNormBuffers buffers{};
    buffers.sum = sum.data_ptr();
    buffers.statistics = saved[1].data_ptr<float>();
    buffers.d_sum = data(d_sum);
    buffers.d_y = d_y.const_data_ptr();
    buffers.d_x = d_x.mutable_data_ptr();
    buffers.d_branch = separate ? d_branch.mutable_data_ptr() : nullptr;
    const cuda::ResidualNorm shape = shape_of(sum, narrow, context->saved_data["eps"].toDouble());
    check_cuda(cuda_functions()->residual_norm_backward(shape, buffers, cuda_stream(sum)),
               "residual_layer_norm's gradient");
    return {d_x, separate ? d_branch : with_branch ? d_x : Tensor(), Tensor(), Tensor()};
  }
};

}  // namespace

SumAndNorm residual_layer_norm(const Tensor& x, const Tensor& branch, double eps) {
  if (const auto narrow = taken(x, branch, eps)) {
    const variable_list results = ResidualNorm::apply(x, optional(branch), eps, *narrow);
    return {branch.defined() ? results[1] : x, results[0]};
  }
  const Tensor sum = branch.defined() ? x + branch : x;
  return {sum, layer_norm(sum, eps)};
}

}  // namespace diffit::kernels

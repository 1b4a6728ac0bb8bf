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

class Attention : public torch::autograd::Function<Attention> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& qkv, const Tensor& qkv_t, const Tensor& table,
                        std::int64_t heads, std::int64_t window) {
    Saved left;
    const Tensor out = backend_of(qkv)->attention.forward(qkv, qkv_t, table, heads, window, &left);
    variable_list saved = {qkv, qkv_t, table};
    saved.insert(saved.end(), left.begin(), left.end());
    context->save_for_backward(std::move(saved));
    context->saved_data["heads"] = heads;
    context->saved_data["window"] = window;
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &qkv = saved[0], &qkv_t = saved[1], &table = saved[2];
    const Tensor d_out = gradients[0].to(qkv.scalar_type()).contiguous();
    const auto [d_qkv, d_qkv_t, d_table] = backend_of(qkv)->attention.backward(
        qkv, qkv_t, table, context->saved_data["heads"].toInt(), context->saved_data["window"].toInt(),
        {saved.begin() + 3, saved.end()}, d_out);
    return {d_qkv, d_qkv_t, d_table, Tensor(), Tensor()};
  }
};

}  // namespace

Tensor tmsa_attention(const Tensor& qkv, const Tensor& qkv_t, const Tensor& table, std::int64_t heads,
                      std::int64_t window) {
  checks::tmsa_attention(qkv, qkv_t, table, heads, window);
  const Backend* const backend = backend_of(qkv);
  if (backend == nullptr || !backend->attention.takes(qkv, heads, window))
    return definition::tmsa_attention(qkv, qkv_t, table, heads, window);
  const Tensor map = qkv.contiguous(), time = qkv_t.to(qkv.scalar_type()).contiguous(),
               bias = table.to(at::kFloat).contiguous();
  return needs_grad({qkv, qkv_t, table})
             ? Attention::apply(map, time, bias, heads, window)
             : backend->attention.forward(map, time, bias, heads, window, nullptr);
}

}  // namespace diffit::kernels

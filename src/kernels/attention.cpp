#include "kernels/cpu/attention.h"

#include "kernels/dispatch.h"
#include "kernels/ops.h"
#include "kernels/pch.h"

namespace diffit {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

cpu::AttentionShape shape_of(const Tensor& qkv, std::int64_t heads, std::int64_t window) {
  return {qkv.size(0), qkv.size(1), qkv.size(2), heads, qkv.size(3) / 3 / heads, window};
}

Tensor forward_on_cpu(const Tensor& qkv, const Tensor& qkv_t, const Tensor& table, std::int64_t heads,
                      std::int64_t window) {
  const cpu::AttentionShape shape = shape_of(qkv, heads, window);
  Tensor out = at::empty({shape.batch, shape.height, shape.width, shape.channels()}, qkv.options());
  cpu::attention_forward(shape, element_of(qkv), qkv.const_data_ptr(), qkv_t.const_data_ptr(),
                         table.const_data_ptr<float>(), out.mutable_data_ptr());
  return out;
}

class Attention : public torch::autograd::Function<Attention> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& qkv, const Tensor& qkv_t, const Tensor& table,
                        std::int64_t heads, std::int64_t window) {
    context->save_for_backward({qkv, qkv_t, table});
    context->saved_data["heads"] = heads;
    context->saved_data["window"] = window;
    return forward_on_cpu(qkv, qkv_t, table, heads, window);
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &qkv = saved[0], &qkv_t = saved[1], &table = saved[2];
    const cpu::AttentionShape shape =
        shape_of(qkv, context->saved_data["heads"].toInt(), context->saved_data["window"].toInt());
    const Tensor d_out = gradients[0].to(qkv.scalar_type()).contiguous();
    Tensor d_qkv = at::empty_like(qkv), d_qkv_t = at::empty_like(qkv_t), d_table = at::empty_like(table);
    cpu::attention_backward(shape, element_of(qkv), qkv.const_data_ptr(), qkv_t.const_data_ptr(),
                            table.const_data_ptr<float>(), d_out.const_data_ptr(), d_qkv.mutable_data_ptr(),
                            d_qkv_t.mutable_data_ptr(), d_table.mutable_data_ptr<float>());
    return {d_qkv, d_qkv_t, d_table, Tensor(), Tensor()};
  }
};

}  // namespace

Tensor tmsa_attention(const Tensor& qkv, const Tensor& qkv_t, const Tensor& table, std::int64_t heads,
                      std::int64_t window) {
  const bool recorded = needs_grad({qkv, qkv_t, table});
  if (!takes_cpu_kernel(qkv)) return definition::tmsa_attention(qkv, qkv_t, table, heads, window);
  const Tensor map = qkv.contiguous(), time = qkv_t.to(qkv.scalar_type()).contiguous(),
               bias = table.to(at::kFloat).contiguous();
  return recorded ? Attention::apply(map, time, bias, heads, window)
                  : forward_on_cpu(map, time, bias, heads, window);
}

}  // namespace diffit

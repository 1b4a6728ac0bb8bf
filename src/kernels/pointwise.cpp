#include "kernels/cpu/pointwise.h"

#include "kernels/dispatch.h"
#include "kernels/ops.h"
#include "kernels/pch.h"

namespace diffit {
namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

Tensor gelu_on_cpu(const Tensor& x) {
  const Tensor y = at::empty_like(x);
  cpu::gelu_forward(x.numel(), element_of(x), x.const_data_ptr(), y.mutable_data_ptr());
  return y;
}

class Gelu : public torch::autograd::Function<Gelu> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x) {
    context->save_for_backward({x});
    return gelu_on_cpu(x);
  }
  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const Tensor x = context->get_saved_variables()[0];
    const Tensor d_y = gradients[0].to(x.scalar_type()).contiguous(), d_x = at::empty_like(x);
    cpu::gelu_backward(x.numel(), element_of(x), x.const_data_ptr(), d_y.const_data_ptr(),
                       d_x.mutable_data_ptr());
    return {d_x};
  }
};

Tensor upsample2_on_cpu(const Tensor& x) {
  const cpu::MapShape shape{x.size(0), x.size(1), x.size(2), x.size(3)};
  const Tensor y = at::empty({shape.batch, 2 * shape.height, 2 * shape.width, shape.channels}, x.options());
  cpu::upsample2_forward(shape, element_of(x), x.const_data_ptr(), y.mutable_data_ptr());
  return y;
}

class Upsample2 : public torch::autograd::Function<Upsample2> {
 public:
  static Tensor forward(AutogradContext*, const Tensor& x) { return upsample2_on_cpu(x); }
  static variable_list backward(AutogradContext*, const variable_list& gradients) {
    const Tensor d_y = gradients[0].contiguous();
    const cpu::MapShape shape{d_y.size(0), d_y.size(1) / 2, d_y.size(2) / 2, d_y.size(3)};
    const Tensor d_x = at::empty({shape.batch, shape.height, shape.width, shape.channels}, d_y.options());
    cpu::upsample2_backward(shape, element_of(d_y), d_y.const_data_ptr(), d_x.mutable_data_ptr());
    return {d_x};
  }
};

}  // namespace

Tensor gelu_tanh(const Tensor& x) {
  if (!takes_cpu_kernel(x)) return definition::gelu_tanh(x);
  const Tensor numbers = x.contiguous();
  return needs_grad({x}) ? Gelu::apply(numbers) : gelu_on_cpu(numbers);
}

Tensor upsample2(const Tensor& x) {
  if (!takes_cpu_kernel(x)) return definition::upsample2(x);
  const Tensor map = x.contiguous();
  return needs_grad({x}) ? Upsample2::apply(map) : upsample2_on_cpu(map);
}

}  // namespace diffit

#include "nn/layers/checkpointing.h"

#include <ATen/autocast_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include "runtime/autocast.h"

namespace diffit::nn {

namespace {

using Part = std::function<at::Tensor(const at::Tensor&, const at::Tensor&)>;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// State that the second forward pass needs, carried through the autograd graph.
struct Recompute : torch::CustomClassHolder {
  Part part;
  at::ScalarType dtype;  // autocast dtype; float32 means that autocast is off
};

struct CheckpointFunction : torch::autograd::Function<CheckpointFunction> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& time,
                            const c10::intrusive_ptr<Recompute>& recompute) {
    ctx->save_for_backward({x, time});
    ctx->saved_data["recompute"] = c10::IValue::make_capsule(recompute);
    return recompute->part(x, time);
  }

  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto recompute =
        c10::static_intrusive_pointer_cast<Recompute>(ctx->saved_data["recompute"].toCapsule());
    const variable_list saved = ctx->get_saved_variables();
    const at::AutoGradMode with_grad(true);
    const at::Tensor x = saved[0].detach().requires_grad_(), time = saved[1].detach().requires_grad_();
    at::Tensor out;
    {
      const Autocast autocast(x.device().type(), recompute->dtype);
      out = recompute->part(x, time);
    }
    torch::autograd::backward({out}, {grads[0]});
    return {x.grad(), time.grad(), at::Tensor()};
  }
};

}  // namespace

at::Tensor checkpoint(Part part, const at::Tensor& x, const at::Tensor& time) {
  const auto device = x.device().type();
  auto recompute = c10::make_intrusive<Recompute>();
  recompute->part = std::move(part);
  recompute->dtype =
      at::autocast::is_autocast_enabled(device) ? at::autocast::get_autocast_dtype(device) : at::kFloat;
  return CheckpointFunction::apply(x, time, recompute);
}

}  // namespace diffit::nn

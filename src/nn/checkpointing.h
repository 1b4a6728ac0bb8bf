// Gradient checkpointing (Chen et al. 2016): memory for a second forward pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

namespace diffit {

/// part(x, time) without keeping its inner activations: the backward pass runs `part` once more. Gradients
/// reach x, time, and every parameter that `part` uses. `part` must be a pure function and outlive the
/// backward pass; autocast is restored as it was.
at::Tensor checkpoint(std::function<at::Tensor(const at::Tensor&, const at::Tensor&)> part,
                      const at::Tensor& x, const at::Tensor& time);

}  // namespace diffit

// Gradient checkpointing (Chen et al. 2016): less memory at the cost of a second forward pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "base/layers.h"

namespace diffit::nn {

/// Computes part(x, time) without storing its inner activations: the backward pass runs `part` again.
/// Gradients reach x, time and every parameter that `part` uses. `part` must be a pure function and must
/// outlive the backward pass. The second pass runs under the same autocast dtype as the first.
at::Tensor checkpoint(std::function<at::Tensor(const at::Tensor&, const at::Tensor&)> part,
                      const at::Tensor& x, const at::Tensor& time);

}  // namespace diffit::nn

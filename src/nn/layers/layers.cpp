#include "nn/layers/layers.h"

#include <algorithm>

#include "kernels/ops.h"

namespace diffit::nn {

std::int64_t groups_of(std::int64_t width) {
  return std::min<std::int64_t>(32, width / 4);
}

Linear::Linear(std::int64_t in, std::int64_t out, bool with_bias)
    : weight(at::empty({out, in}, at::kFloat)),
      bias(with_bias ? at::empty({out}, at::kFloat) : at::Tensor()) {}

at::Tensor Linear::operator()(const at::Tensor& x) const {
  return linear(x, weight, bias);
}

void Linear::add_to(ParameterList& list, const std::string& prefix, Initializer initializer) const {
  list.add(prefix + ".weight", weight, initializer);
  if (bias.defined()) list.add(prefix + ".bias", bias, Initializer::zero);
}

GroupNorm::GroupNorm(std::int64_t width, std::int64_t groups_, double eps_)
    : weight(at::empty({width}, at::kFloat)),
      bias(at::empty({width}, at::kFloat)),
      groups(groups_),
      eps(eps_) {}

at::Tensor GroupNorm::operator()(const at::Tensor& x, bool silu) const {
  return group_norm(x, groups, weight, bias, eps, silu);
}

void GroupNorm::add_to(ParameterList& list, const std::string& prefix) const {
  list.add(prefix + ".weight", weight, Initializer::one);
  list.add(prefix + ".bias", bias, Initializer::zero);
}

Conv2d::Conv2d(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t step)
    : weight(at::empty({out, in, kernel, kernel}, at::kFloat, at::MemoryFormat::ChannelsLast)),
      bias(at::empty({out}, at::kFloat)),
      stride(step) {}

at::Tensor Conv2d::operator()(const at::Tensor& x) const {
  return conv2d(x, weight, bias, stride);
}

void Conv2d::add_to(ParameterList& list, const std::string& prefix, Initializer initializer) const {
  list.add(prefix + ".weight", weight, initializer);
  list.add(prefix + ".bias", bias, Initializer::zero);
}

}  // namespace diffit::nn

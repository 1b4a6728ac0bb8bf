#include "nn/layers/parameters.h"

#include <cmath>

#include "base/error.h"
#include "kernels/ops.h"

namespace diffit::nn {

void ParameterList::add(std::string name, at::IntArrayRef shape,
                        std::function<void(const at::Tensor& values)> take) {
  const at::Tensor shape_alone = at::empty({}, at::kFloat).expand(shape);
  items_.push_back({std::move(name), shape_alone, Start::fixed, std::move(take)});
}

std::vector<Parameter> ParameterList::trained() const {
  std::vector<Parameter> chosen;
  for (const Parameter& p : items_) {
    if (p.trained()) chosen.push_back(p);
  }
  return chosen;
}

std::int64_t ParameterList::count() const {
  std::int64_t numbers = 0;
  for (const Parameter& p : items_) {
    if (p.start != Start::buffer) numbers += p.tensor.numel();
  }
  return numbers;
}

at::Tensor normal_tensor(at::IntArrayRef shape, Random& random) {
  at::Tensor out = at::empty(shape, at::kFloat);
  random.normal({out.mutable_data_ptr<float>(), static_cast<std::size_t>(out.numel())});
  return out;
}

namespace {

at::Tensor xavier_uniform(at::IntArrayRef shape, Random& random) {
  at::Tensor out = at::empty(shape, at::kFloat);
  const std::int64_t receptive = out.numel() / (shape[0] * shape[1]);
  const double bound = std::sqrt(6.0 / static_cast<double>((shape[0] + shape[1]) * receptive));
  for (float& value : std::span(out.mutable_data_ptr<float>(), static_cast<std::size_t>(out.numel()))) {
    value = static_cast<float>((2 * random.uniform() - 1) * bound);
  }
  return out;
}

at::Tensor truncated_normal(at::IntArrayRef shape, Random& random, double deviation) {
  at::Tensor out = at::empty(shape, at::kFloat);
  for (float& value : std::span(out.mutable_data_ptr<float>(), static_cast<std::size_t>(out.numel()))) {
    double drawn = random.normal();
    while (std::abs(drawn) > 2) drawn = random.normal();
    value = static_cast<float>(drawn * deviation);
  }
  return out;
}

at::Tensor starting_value(const Parameter& p, Random& random) {
  const at::IntArrayRef shape = p.tensor.sizes();
  switch (p.start) {
    case Start::zero:
      return at::zeros(shape);
    case Start::one:
      return at::ones(shape);
    case Start::xavier_uniform:
      return xavier_uniform(shape, random);
    case Start::normal_002:
      return normal_tensor(shape, random) * 0.02;
    case Start::truncated_002:
      return truncated_normal(shape, random, 0.02);
    case Start::fixed:
    case Start::buffer:
      break;
  }
  fail("parameter {} has no starting value", p.name);
}

}  // namespace

void initialise(const ParameterList& parameters, std::uint64_t seed) {
  const at::NoGradGuard no_grad;
  std::uint64_t position = 0;
  for (const Parameter& p : parameters) {
    Random random(seed, stream_of(Purpose::initial_weights, position++));
    if (p.trained()) p.tensor.copy_(starting_value(p, random));
  }
}

Linear::Linear(std::int64_t in, std::int64_t out, bool with_bias)
    : weight(at::empty({out, in}, at::kFloat)),
      bias(with_bias ? at::empty({out}, at::kFloat) : at::Tensor()) {}

at::Tensor Linear::operator()(const at::Tensor& x) const {
  return linear(x, weight, bias);
}

void Linear::add_to(ParameterList& list, const std::string& prefix, Start start) const {
  list.add(prefix + ".weight", weight, start);
  if (bias.defined()) list.add(prefix + ".bias", bias, Start::zero);
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
  list.add(prefix + ".weight", weight, Start::one);
  list.add(prefix + ".bias", bias, Start::zero);
}

Conv2d::Conv2d(std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t step)
    : weight(at::empty({out, in, kernel, kernel}, at::kFloat, at::MemoryFormat::ChannelsLast)),
      bias(at::empty({out}, at::kFloat)),
      stride(step) {}

at::Tensor Conv2d::operator()(const at::Tensor& x) const {
  return conv2d(x, weight, bias, stride);
}

void Conv2d::add_to(ParameterList& list, const std::string& prefix, Start start) const {
  list.add(prefix + ".weight", weight, start);
  list.add(prefix + ".bias", bias, Start::zero);
}

}  // namespace diffit::nn

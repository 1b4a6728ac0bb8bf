#include "nn/layers/init.h"

#include <cmath>
#include <span>

#include "base/error.h"
#include "nn/layers/parameter_list.h"

namespace diffit::nn {

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

at::Tensor truncated_normal(at::IntArrayRef shape, Random& random, double standard_deviation) {
  at::Tensor out = at::empty(shape, at::kFloat);
  for (float& value : std::span(out.mutable_data_ptr<float>(), static_cast<std::size_t>(out.numel()))) {
    double drawn = random.normal();
    while (std::abs(drawn) > 2) drawn = random.normal();
    value = static_cast<float>(drawn * standard_deviation);
  }
  return out;
}

at::Tensor initial_value(const Parameter& p, Random& random) {
  const at::IntArrayRef shape = p.tensor.sizes();
  switch (p.initializer) {
    case Initializer::zero:
      return at::zeros(shape);
    case Initializer::one:
      return at::ones(shape);
    case Initializer::xavier_uniform:
      return xavier_uniform(shape, random);
    case Initializer::normal_002:
      return normal_tensor(shape, random) * 0.02;
    case Initializer::truncated_002:
      return truncated_normal(shape, random, 0.02);
    case Initializer::fixed:
    case Initializer::buffer:
      break;
  }
  fail("parameter {} has no initial value", p.name);
}

}  // namespace

void initialise(const ParameterList& parameters, std::uint64_t seed) {
  const at::NoGradGuard no_grad;
  std::uint64_t position = 0;
  for (const Parameter& p : parameters) {
    Random random(seed, stream_of(Purpose::initial_weights, position++));
    if (p.trained()) p.tensor.copy_(initial_value(p, random));
  }
}

}  // namespace diffit::nn

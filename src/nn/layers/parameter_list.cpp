#include "nn/layers/parameter_list.h"

namespace diffit::nn {

void ParameterList::add(std::string name, at::IntArrayRef shape,
                        std::function<void(const at::Tensor& values)> consume) {
  const at::Tensor shape_only = at::empty({}, at::kFloat).expand(shape);
  items_.push_back({std::move(name), shape_only, Initializer::fixed, std::move(consume)});
}

std::vector<Parameter> ParameterList::trained() const {
  std::vector<Parameter> result;
  for (const Parameter& p : items_) {
    if (p.trained()) result.push_back(p);
  }
  return result;
}

std::int64_t ParameterList::count() const {
  std::int64_t count = 0;
  for (const Parameter& p : items_) {
    if (p.initializer != Initializer::buffer) count += p.tensor.numel();
  }
  return count;
}

void ParameterList::to(at::Device device) const {
  for (const Parameter& p : items_) {
    at::Tensor shared = p.tensor;
    if (shared.device() != device) shared.set_data(shared.to(device));
  }
}

void ParameterList::to(at::ScalarType dtype) const {
  for (const Parameter& p : items_) {
    at::Tensor shared = p.tensor;
    if (p.initializer != Initializer::buffer) shared.set_data(shared.to(dtype));
  }
}

}  // namespace diffit::nn

#include "nn/layers/parameter_list.h"

namespace diffit::nn {

void ParameterList::add(std::string name, at::IntArrayRef shape,
                        std::function<void(const at::Tensor& values)> take) {
  const at::Tensor shape_alone = at::empty({}, at::kFloat).expand(shape);
  items_.push_back({std::move(name), shape_alone, Initializer::fixed, std::move(take)});
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
    if (p.initializer != Initializer::buffer) numbers += p.tensor.numel();
  }
  return numbers;
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

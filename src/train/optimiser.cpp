#include "train/optimiser.h"

#include <algorithm>
#include <cmath>

namespace diffit::training {

double learning_rate(const OptimiserSection& s, double images, double all) {
  double factor = 1;
  const auto warmup = static_cast<double>(s.warmup_images), decay = static_cast<double>(s.decay_images);
  if (warmup > 0) factor = std::min(1.0, images / warmup);
  if (decay > 0) {
    const double left = std::clamp((all - images) / decay, 0.0, 1.0);
    factor = std::min(factor, s.decay == "cosine" ? 0.5 * (1 - std::cos(M_PI * left)) : left);
  }
  return s.lr * factor;
}

bool is_decayed(const Parameter& p) {
  return p.tensor.dim() >= 2 && p.initializer == Initializer::xavier_uniform;
}

Optimiser::Optimiser(const OptimiserSection& section, std::vector<Parameter> parameters)
    : section_(section), parameters_(std::move(parameters)) {
  Group decayed, plain;
  decayed.weight_decay = section_.weight_decay;
  for (const Parameter& p : parameters_) {
    first_.push_back(at::zeros_like(p.tensor).detach());
    second_.push_back(at::zeros_like(p.tensor).detach());
    Group& group = is_decayed(p) ? decayed : plain;
    group.weights.push_back(p.tensor);
    group.first.push_back(first_.back());
    group.second.push_back(second_.back());
    group.steps.push_back(at::zeros({}, p.tensor.options().requires_grad(false)));
  }
  for (Group* group : {&decayed, &plain}) {
    if (!group->weights.empty()) groups_.push_back(std::move(*group));
  }
}

std::vector<at::Tensor> Optimiser::gradients(const Group& group) const {
  std::vector<at::Tensor> grads;
  for (const at::Tensor& w : group.weights) {
    if (!w.grad().defined()) w.mutable_grad() = at::zeros_like(w);
    grads.push_back(w.grad());
  }
  return grads;
}

std::vector<float> Optimiser::gradient_norms() const {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> norms;
  for (const Group& group : groups_) {
    for (at::Tensor& norm : at::_foreach_norm(gradients(group))) norms.push_back(std::move(norm));
  }
  if (norms.empty()) return {};
  const at::Tensor all = at::stack(norms).to(at::kCPU, at::kFloat);
  return {all.const_data_ptr<float>(), all.const_data_ptr<float>() + all.numel()};
}

double total_norm(const std::vector<float>& norms) {
  return at::from_blob(const_cast<float*>(norms.data()), {static_cast<std::int64_t>(norms.size())},
                       at::kFloat)
      .norm()
      .item<double>();
}

void Optimiser::clip(double norm) {
  if (section_.clip <= 0 || norm <= section_.clip) return;
  const at::NoGradGuard no_grad;
  for (const Group& group : groups_) at::_foreach_mul_(gradients(group), section_.clip / norm);
}

void Optimiser::step(double lr) {
  const at::NoGradGuard no_grad;
  using Fused = void(at::TensorList, at::TensorList, at::TensorList, at::TensorList, at::TensorList,
                     at::TensorList, double, double, double, double, double, bool, bool,
                     const std::optional<at::Tensor>&, const std::optional<at::Tensor>&);
  Fused* const adam = at::_fused_adam_;
  Fused* const adamw = at::_fused_adamw_;
  Fused* const update = section_.name == "adamw" ? adamw : adam;
  for (Group& group : groups_) {
    at::_foreach_add_(group.steps, 1);
    update(group.weights, gradients(group), group.first, group.second, {}, group.steps, lr, section_.beta1,
           section_.beta2, group.weight_decay, section_.eps, /*amsgrad=*/false, /*maximize=*/false, {}, {});
  }
  ++steps_;
}

std::vector<std::pair<std::string, at::Tensor>> Optimiser::state() const {
  std::vector<std::pair<std::string, at::Tensor>> state;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    state.emplace_back("adam.m." + parameters_[i].name, first_[i]);
    state.emplace_back("adam.v." + parameters_[i].name, second_[i]);
  }
  return state;
}

void Optimiser::restore_steps(std::int64_t steps) {
  steps_ = steps;
  for (Group& group : groups_) {
    for (at::Tensor& t : group.steps) t.fill_(static_cast<double>(steps));
  }
}

}  // namespace diffit::training

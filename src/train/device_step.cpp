#include "train/device_step.h"

#include "runtime/device.h"

namespace diffit::training {

namespace {

std::vector<kernels::FusedParameter> fused_parameters(const OptimiserSection& section,
                                                      const Optimiser& optimiser,
                                                      const std::vector<Ema>& emas) {
  std::vector<kernels::FusedParameter> all;
  for (std::size_t i = 0; i < optimiser.parameters().size(); ++i) {
    const Parameter& p = optimiser.parameters()[i];
    kernels::FusedParameter fused{p.tensor,
                                  optimiser.first_moments()[i],
                                  optimiser.second_moments()[i],
                                  {},
                                  is_decayed(p) ? section.weight_decay : 0};
    for (const Ema& ema : emas) fused.averages.push_back(ema.averages()[i]);
    all.push_back(std::move(fused));
  }
  return all;
}

kernels::FusedSettings settings_of(const OptimiserSection& section) {
  return {section.name == "adamw", section.beta1, section.beta2, section.eps, std::max(section.clip, 0.0)};
}

at::Tensor pinned_floats(std::int64_t count, at::Device device) {
  return at::zeros({count}, at::TensorOptions(at::kFloat).pinned_memory(device.is_cuda()));
}

}  // namespace

bool DeviceStep::available(at::Device device, std::size_t averages) {
  return kernels::FusedOptimizer::available(device, averages);
}

DeviceStep::DeviceStep(Objective& objective, const OptimiserSection& section, const Optimiser& optimiser,
                       const std::vector<Ema>& emas, at::Device device, std::int64_t passes)
    : objective_(objective),
      device_(device),
      passes_(passes),
      optimizer_(fused_parameters(section, optimiser, emas), settings_of(section)),
      loss_(at::zeros({}, at::TensorOptions(device).dtype(at::kFloat))),
      rates_(at::zeros({static_cast<std::int64_t>(1 + emas.size())}, loss_.options())),
      rates_on_host_(pinned_floats(rates_.numel(), device)),
      result_on_host_(pinned_floats(3, device)) {
  for (const Parameter& p : optimiser.parameters()) weights_.push_back(p.tensor);
  if (!objective_.is_function_of_inputs()) return;
  replayed_.emplace(device, [this](const Inputs& inputs) {
    pass(inputs);
    return Inputs{};
  });
}

/// Adds the gradients and the loss of a microbatch.
void DeviceStep::pass(const Inputs& inputs) {
  // A single pass gives the gradients their memory: nothing is added to them.
  if (passes_ == 1) {
    for (const at::Tensor& w : weights_) w.mutable_grad().reset();
  }
  const at::Tensor loss = objective_.loss(inputs) / static_cast<double>(passes_);
  loss.backward();
  const at::NoGradGuard no_grad;
  if (passes_ == 1) {
    loss_.copy_(loss.detach());
  } else {
    loss_.add_(loss.detach());
  }
}

/// Reads the next microbatch. What goes wrong is thrown when it is used.
void DeviceStep::read_ahead() {
  try {
    Inputs inputs = objective_.next_inputs();
    for (at::Tensor& x : inputs) x = device_.is_cuda() ? x.pin_memory() : x.clone();
    ahead_ = std::move(inputs);
  } catch (...) {
    error_ahead_ = std::current_exception();
  }
}

Inputs DeviceStep::take_inputs() {
  if (!ahead_ && !error_ahead_) read_ahead();
  if (error_ahead_) std::rethrow_exception(error_ahead_);
  Inputs inputs = std::move(*ahead_);
  ahead_.reset();
  return inputs;
}

DeviceStep::Result DeviceStep::run(double lr, const std::vector<double>& one_minus_beta, bool last) {
  float* const rates = rates_on_host_.mutable_data_ptr<float>();
  rates[0] = static_cast<float>(lr);
  for (std::size_t k = 0; k < one_minus_beta.size(); ++k)
    rates[1 + k] = static_cast<float>(one_minus_beta[k]);
  rates_.copy_(rates_on_host_, /*non_blocking=*/true);
  if (passes_ > 1) {
    const at::NoGradGuard no_grad;
    loss_.zero_();
    for (const at::Tensor& w : weights_) {
      if (w.grad().defined()) w.mutable_grad().zero_();
    }
  }
  for (std::int64_t i = 0; i < passes_; ++i) {
    const Inputs inputs = take_inputs();
    if (replayed_) {
      (*replayed_)(inputs);
    } else {
      Inputs moved;
      for (const at::Tensor& x : inputs) moved.push_back(x.to(device_, /*non_blocking=*/true));
      pass(moved);
    }
    if (i + 1 < passes_) read_ahead();
  }
  whole_ = false;
  result_on_host_.copy_(optimizer_.update(loss_, rates_), /*non_blocking=*/true);
  if (!last) read_ahead();
  runtime::synchronize(device_);
  whole_ = true;
  const float* const result = result_on_host_.const_data_ptr<float>();
  return {result[0], result[1], result[2] != 0};
}

void DeviceStep::restart(std::int64_t updates) {
  ahead_.reset();
  error_ahead_ = nullptr;
  optimizer_.set_updates(updates);
}

}  // namespace diffit::training

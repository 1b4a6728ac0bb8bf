#include "kernels/fused_optimizer.h"

#include <c10/core/DeviceGuard.h>

#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "kernels/cuda_backend.h"
#include "kernels/ops.h"
#include "runtime/pch.h"

namespace diffit::kernels {
namespace {

/// Copies the items to a tensor of bytes on the device.
template <class T>
at::Tensor table(const std::vector<T>& items, at::Device device) {
  const auto bytes = static_cast<std::int64_t>(items.size() * sizeof(T));
  const at::Tensor on_host = at::empty({bytes}, at::kByte);
  std::memcpy(on_host.mutable_data_ptr(), items.data(), static_cast<std::size_t>(bytes));
  return on_host.to(device);
}

cuda::OptimizerStep step_of(const FusedSettings& s, std::int64_t pieces, std::size_t averages) {
  cuda::OptimizerStep step{};
  step.pieces = static_cast<std::int32_t>(pieces);
  step.averages = static_cast<std::int32_t>(averages);
  step.decoupled = s.decoupled;
  step.eps = static_cast<float>(s.eps);
  step.clip = static_cast<float>(s.clip);
  step.beta1 = s.beta1;
  step.beta2 = s.beta2;
  return step;
}

}  // namespace

bool FusedOptimizer::available(at::Device device, std::size_t averages) {
  return fast_kernels() && (device.is_cuda() || emulates_cuda()) && averages <= cuda::kMaxAverages &&
         cuda_functions() != nullptr;
}

FusedOptimizer::FusedOptimizer(std::vector<FusedParameter> parameters, const FusedSettings& settings)
    : parameters_(std::move(parameters)), settings_(settings) {
  DIFFIT_CHECK(!parameters_.empty(), "optimizer: there are no parameters to train");
  const at::TensorOptions floats = parameters_.front().weight.options().requires_grad(false);
  std::int64_t largest = 0;
  for (const FusedParameter& p : parameters_) {
    largest = std::max(largest, p.weight.numel());
    piece_count_ += (p.weight.numel() + cuda::kOptimizerChunk - 1) / cuda::kOptimizerChunk;
  }
  const auto step = step_of(settings_, piece_count_, parameters_.front().averages.size());
  workspace_ = at::empty({static_cast<std::int64_t>(cuda_functions()->optimizer_workspace(step))},
                         floats.dtype(at::kByte));
  result_ = at::zeros({3}, floats);
  updates_ = at::zeros({}, floats.dtype(at::kLong));
  zeros_ = at::zeros({largest}, floats);
}

void FusedOptimizer::place_tables() {
  std::vector<const void*> gradients;
  for (const FusedParameter& p : parameters_)
    gradients.push_back(p.weight.grad().defined() ? p.weight.grad().const_data_ptr()
                                                  : zeros_.const_data_ptr());
  if (gradients == gradients_) return;
  std::vector<cuda::OptimizerTensor> tensors;
  std::vector<cuda::OptimizerPiece> pieces;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const FusedParameter& p = parameters_[i];
    cuda::OptimizerTensor t{};
    t.weight = static_cast<float*>(p.weight.data_ptr());
    t.first = p.first.mutable_data_ptr<float>();
    t.second = p.second.mutable_data_ptr<float>();
    t.gradient = static_cast<const float*>(gradients[i]);
    t.size = p.weight.numel();
    t.weight_decay = static_cast<float>(p.weight_decay);
    t.aligned = is_aligned(t.weight) && is_aligned(t.first) && is_aligned(t.second) && is_aligned(t.gradient);
    for (std::size_t k = 0; k < p.averages.size(); ++k) {
      t.average[k] = p.averages[k].mutable_data_ptr<float>();
      t.aligned = t.aligned && is_aligned(t.average[k]);
    }
    tensors.push_back(t);
    for (std::int64_t first = 0; first < t.size; first += cuda::kOptimizerChunk)
      pieces.push_back({first, static_cast<std::int32_t>(i)});
  }
  tensors_ = table(tensors, result_.device());
  pieces_ = table(pieces, result_.device());
  gradients_ = std::move(gradients);
}

const at::Tensor& FusedOptimizer::update(const at::Tensor& loss, const at::Tensor& rates) {
  const c10::DeviceGuard guard(result_.device());
  place_tables();
  cuda::OptimizerBuffers buffers{};
  buffers.tensors = static_cast<const cuda::OptimizerTensor*>(tensors_.const_data_ptr());
  buffers.pieces = static_cast<const cuda::OptimizerPiece*>(pieces_.const_data_ptr());
  buffers.rates = rates.const_data_ptr<float>();
  buffers.loss = loss.const_data_ptr<float>();
  buffers.result = result_.mutable_data_ptr<float>();
  buffers.updates = updates_.mutable_data_ptr<std::int64_t>();
  buffers.workspace = workspace_.mutable_data_ptr();
  const auto step = step_of(settings_, piece_count_, parameters_.front().averages.size());
  check_cuda(cuda_functions()->optimizer_update(step, buffers, cuda_stream(result_)), "the optimizer step");
  return result_;
}

void FusedOptimizer::set_updates(std::int64_t updates) {
  updates_.fill_(updates);
}

}  // namespace diffit::kernels

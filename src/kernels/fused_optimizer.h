// The optimizer step of all parameters in one pass on a GPU, decided there (kernels/cuda/optimizer.cu).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "base/layers.h"

namespace diffit::kernels {

/// What the optimizer updates for one parameter: float32 tensors of one shape and memory layout.
struct FusedParameter {
  at::Tensor weight;                 // its gradient is read at each update; undefined is zero
  at::Tensor first, second;          // moments
  std::vector<at::Tensor> averages;  // exponential moving averages of the weight
  double weight_decay = 0;
};

struct FusedSettings {
  bool decoupled = false;  // AdamW instead of Adam
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double clip = 0;  // largest L2 norm of all gradients; 0: any
};

/// Adam (Kingma and Ba 2015) or AdamW (Loshchilov and Hutter 2019) with averages. Not thread-safe.
class FusedOptimizer {
 public:
  /// Whether there is one for this device and number of averages.
  static bool available(at::Device device, std::size_t averages);

  FusedOptimizer(std::vector<FusedParameter> parameters, const FusedSettings& settings);

  /// Queues one update on the current stream. loss [] and rates [1 + averages] are float32 on the device;
  /// rates: the learning rate, then 1 - beta of each average. Returns [3]: loss, norm of the gradients before
  /// clipping, and 1 if one of them is not finite, so that nothing was updated, else 0. Its memory is written
  /// again by the next update. Throws Error(failed) if the kernel cannot be launched.
  const at::Tensor& update(const at::Tensor& loss, const at::Tensor& rates);
  /// Sets the number of updates so far, which determines the correction of the moments' bias.
  void set_updates(std::int64_t updates);

 private:
  void place_tables();

  std::vector<FusedParameter> parameters_;
  FusedSettings settings_;
  std::vector<const void*> gradients_;  // as in the table
  at::Tensor zeros_;                    // gradient of what has none
  at::Tensor tensors_, pieces_, workspace_, result_, updates_;
  std::int64_t piece_count_ = 0;
};

}  // namespace diffit::kernels

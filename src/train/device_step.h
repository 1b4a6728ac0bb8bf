// One optimizer step on a GPU: the work is queued as a recorded graph, the next microbatch is read and copied
// to pinned memory meanwhile, and the host waits once, for the result.
#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <vector>

#include "kernels/fused_optimizer.h"
#include "runtime/graph.h"
#include "train/ema.h"
#include "train/objective.h"
#include "train/optimiser.h"

namespace diffit::training {

/// Not thread-safe. The objective, the optimizer and the averages must outlive it; their tensors are updated
/// in place.
class DeviceStep {
 public:
  /// Whether the device of the parameters has the kernels for it.
  static bool available(at::Device device, std::size_t averages);

  /// passes: microbatches per step.
  DeviceStep(Objective& objective, const OptimiserSection& section, const Optimiser& optimiser,
             const std::vector<Ema>& emas, at::Device device, std::int64_t passes);

  struct Result {
    double loss = 0, gradient_norm = 0;
    bool skipped = false;  // one of them is not finite, so nothing was updated
  };
  /// Performs a step and waits for it. one_minus_beta: of each average. `last`: no step follows, so that
  /// nothing is read ahead. Throws errors of reading the data of this step.
  Result run(double lr, const std::vector<double>& one_minus_beta, bool last);
  /// To be called after the objective was positioned anew, with the number of updates so far.
  void restart(std::int64_t updates);
  /// False if an update was queued but its end was not seen.
  bool whole() const { return whole_; }

 private:
  void read_ahead();
  Inputs take_inputs();
  void pass(const Inputs& inputs);

  Objective& objective_;
  std::vector<at::Tensor> weights_;
  at::Device device_;
  std::int64_t passes_;
  kernels::FusedOptimizer optimizer_;
  std::optional<runtime::Replayed> replayed_;  // of one pass; empty: it is called each time
  at::Tensor loss_, rates_, rates_on_host_, result_on_host_;
  std::optional<Inputs> ahead_;  // pinned inputs of the next pass
  std::exception_ptr error_ahead_;
  bool whole_ = true;
};

}  // namespace diffit::training

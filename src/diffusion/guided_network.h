// A network with guidance for one batch, as evaluated by the samplers.
#pragma once

#include <functional>

#include "diffusion/guidance.h"

namespace diffit::diffusion {

/// Output of a network in float64.
struct NetworkOutput {
  at::Tensor
      value;     // prediction that is guided, [B, C, ...]: D(x; sigma), or eps(x_t, t) of a discrete schedule
  at::Tensor v;  // position of the variance in its range, [B, C, ...]; undefined if not learned
};

/// Evaluates a network at one noise level: x [B, C, ...] float32, labels [B] int64, undefined for networks
/// without classes.
using LevelNetwork =
    std::function<NetworkOutput(const at::Tensor& x, const NoiseLevel& level, const at::Tensor& labels)>;

/// Guides a network by its own unconditional prediction or by a weaker network (autoguidance). The arguments
/// must outlive it.
class GuidedNetwork {
 public:
  ///   weaker: empty for classifier-free guidance
  ///   labels: of the batch, or undefined; null_label: the label that means "no condition"
  GuidedNetwork(const LevelNetwork& network, const LevelNetwork& weaker, const Guidance& guidance,
                at::Tensor labels, std::int64_t null_label);

  /// x: float64 or float32. The weaker prediction is only computed if guidance changes the result. The
  /// variance is that of the conditional prediction (released code).
  NetworkOutput operator()(const at::Tensor& x, const NoiseLevel& level);

  /// Returns the number of evaluations of the networks so far, per image.
  const Evaluations& evaluations() const { return evaluations_; }

 private:
  const LevelNetwork& network_;
  const LevelNetwork& weaker_;
  const Guidance& guidance_;
  at::Tensor labels_, both_;
  Evaluations evaluations_;
};

}  // namespace diffit::diffusion

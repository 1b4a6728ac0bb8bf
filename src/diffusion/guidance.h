// Guidance: moves the prediction of a model further away from a weaker prediction. The weaker prediction
// comes from the same model without its condition (classifier-free guidance, Ho and Salimans 2022) or from
// another model (autoguidance, Karras et al. 2024).
#pragma once

#include <ATen/core/Tensor.h>

#include <limits>
#include <string>

#include "base/layers.h"

namespace diffit::diffusion {

/// Noise level at which the network is evaluated.
struct NoiseLevel {
  double sigma = 0;  // standard deviation of the noise relative to that of the signal
  double t = -1;     // timestep 0..999; latent models only
  double step = 0;   // fraction of the sampler's steps already taken, in [0, 1)
};

/// Strength of guidance, the channels it applies to, and the noise levels at which it is active.
struct Guidance {
  enum class Axis { sigma, timestep, step };

  double scale = 1;           // 1: no guidance
  bool power_cosine = false;  // false: constant scale
  double power = 4;           // exponent of the power-cosine schedule
  std::int64_t channels = 0;  // number of leading channels that are guided; 0: all (released code: 3 of 4)
  /// Guidance is active only inside an interval (Kynkaanniemi et al. 2024): low < sigma <= high, low <= t <=
  /// high, or low <= step < high.
  Axis axis = Axis::sigma;
  double low = 0, high = std::numeric_limits<double>::infinity();
  /// The weaker prediction is not computed if |scale - 1| <= tolerance (docs/sampling.md).
  double tolerance = 1e-3;

  /// Whether guidance is enabled at all.
  bool on() const { return scale != 1; }
  /// Scale at timestep t in 0..steps without regard to the interval: constant, or as in the released code
  /// (scale - 1) (1 - cos(pi (1 - t / steps)^power)) / 2 + 1.
  double scale_at(double t, double steps) const;
  /// Scale at a noise level: the schedule inside the interval, 1 outside.
  double scale_at(const NoiseLevel& level) const;
  /// Whether a scale differs from 1 by more than the tolerance.
  bool counts(double scale_there) const;
};

/// Number of evaluations of a network per image.
struct Evaluations {
  std::int64_t made = 0;
  /// Skipped evaluations of the weaker prediction: guidance is on, but the scale is within tolerance of 1.
  std::int64_t saved = 0;
};

/// Returns weak + scale (main - weak) in the guided channels and main in the others. main, weak [B, C, ...];
/// scale [B] or a scalar tensor.
at::Tensor guided(const Guidance& guidance, const at::Tensor& main, const at::Tensor& weak,
                  const at::Tensor& scale);

}  // namespace diffit::diffusion

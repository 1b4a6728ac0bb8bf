// Guidance: away from a weaker prediction, towards and past the model's own. The weaker one is the same model
// without its condition (classifier-free, Ho and Salimans 2022) or another model (autoguidance, Karras et al.
// 2024).
#pragma once

#include <ATen/core/Tensor.h>

#include <limits>
#include <string>

namespace diffit {

/// Where on the way from noise to picture the network is asked.
struct NoiseLevel {
  double sigma = 0;  // standard deviation of the noise over that of the signal
  double t = -1;     // timestep 0..999; latent models
  double step = 0;   // share of the sampler's steps that are done, in [0, 1)
};

/// How strongly, on what, and when.
struct Guidance {
  enum class Axis { sigma, timestep, step };

  double scale = 1;           // 1: none
  bool power_cosine = false;  // else constant
  double power = 4;           // of the schedule
  std::int64_t channels = 0;  // the first so many channels are guided; 0: all (released code: 3 of 4)
  /// Only inside an interval (Kynkaanniemi et al. 2024): low < sigma <= high, low <= t <= high, or
  /// low <= step < high.
  Axis axis = Axis::sigma;
  double low = 0, high = std::numeric_limits<double>::infinity();
  /// Where |scale - 1| is not above it, the weaker prediction is not computed (docs/sampling.md).
  double tolerance = 1e-3;

  bool on() const { return scale != 1; }
  /// The schedule alone, at timestep t in 0..steps: constant, or (released code)
  /// (scale - 1) (1 - cos(pi (1 - t / steps)^power)) / 2 + 1.
  double scale_at(double t, double steps) const;
  /// The schedule inside the interval, else 1.
  double scale_at(const NoiseLevel& level) const;
  /// Whether a scale differs from 1 by more than the tolerance.
  bool counts(double scale_there) const;
};

/// Evaluations of a network for one picture.
struct Evaluations {
  std::int64_t made = 0;
  std::int64_t saved = 0;  // of the weaker prediction, where guidance is on but counts for nothing
};

/// weak + scale (main - weak) in the guided channels, main in the others.
///   main, weak [B, C, ...]; scale [B] or a number's tensor
at::Tensor guided(const Guidance& guidance, const at::Tensor& main, const at::Tensor& weak,
                  const at::Tensor& scale);

}  // namespace diffit

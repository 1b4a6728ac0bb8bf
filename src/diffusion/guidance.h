// Classifier-free guidance (Ho and Salimans 2022) as DiffiT uses it.
#pragma once

#include <ATen/core/Tensor.h>

#include <limits>

namespace diffit {

/// How strongly, on what, and when the condition is followed.
struct Guidance {
  double scale = 1;           // 1: none
  bool power_cosine = false;  // else constant
  double power = 4;           // of the schedule
  std::int64_t channels = 0;  // the first so many channels are guided; 0: all (released code: 3 of 4)
  double low = 0;             // only for low < sigma <= high (Kynkaanniemi et al. 2024)
  double high = std::numeric_limits<double>::infinity();

  bool on() const { return scale != 1; }
  /// The scale at timestep t in 0..steps: constant, or (released code)
  /// (scale - 1) (1 - cos(pi (1 - t / steps)^power)) / 2 + 1.
  double scale_at(double t, double steps) const;
};

/// u + scale (c - u) in the guided channels, c in the others.
///   conditional, unconditional [B, C, ...]; scale [B] or a number's tensor
at::Tensor guided(const Guidance& guidance, const at::Tensor& conditional, const at::Tensor& unconditional,
                  const at::Tensor& scale);

}  // namespace diffit

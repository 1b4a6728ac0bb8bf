// Noise schedules: the range of noise levels, their distribution in training, and how x and sigma are passed
// to the network. Everything is stated in the variance-exploding view x = x_0 + sigma n, in which a process
// x_t = alpha x_0 + s n has sigma = s / alpha and x = x_t / alpha.
#pragma once

#include <ATen/core/Tensor.h>

#include "base/random.h"
#include "diffusion/vp.h"
#include "nn/diffit/prediction.h"

namespace diffit::diffusion {

/// VP process in continuous time (Song et al. 2021; EDM table 1):
/// sigma(t) = sqrt(exp(beta_d t^2 / 2 + beta_min t) - 1).
struct VpProcess {
  static constexpr double kBetaD = 19.9, kBetaMin = 0.1, kEpsT = 1e-5, kSteps = 1000;

  /// Noise level at time t in [0, 1].
  static double sigma(double t);
  /// Inverse of sigma(t), with the shape and dtype of sigma.
  static at::Tensor t(const at::Tensor& sigma);
};

/// Straight path x_t = (1 - t) x_0 + t n (Lipman et al. 2023; Liu et al. 2023), so that
/// sigma(t) = t / (1 - t). Training draws t in [kEpsT, 1 - kEpsT].
struct FlowProcess {
  static constexpr double kEpsT = 1e-3, kSteps = 1000;

  static double sigma(double t) { return t / (1 - t); }
};

/// Range of noise levels used in training; samplers may use the network within it.
struct SigmaRange {
  double least, most;
};
SigmaRange sigma_range(Schedule schedule);

/// Returns the factor by which x is multiplied at the input of the network, which then receives x_t (for EDM:
/// unit variance).
///   edm: 1 / sqrt(sigma^2 + sigma_data^2); vp, vp_linear: 1 / sqrt(sigma^2 + 1); ve: 1; flow: 1 / (1 +
///   sigma)
/// sigma [B] float32 or float64 -> the same shape and dtype.
at::Tensor c_in(Schedule schedule, double sigma_data, const at::Tensor& sigma);

/// Returns the noise level as it is passed to the network.
///   edm: ln(sigma) / 4; vp: 999 t(sigma); ve: ln(sigma / 2); flow: 1000 sigma / (1 + sigma);
///   vp_linear: index of the nearest of the 1000 timesteps
at::Tensor c_noise(Schedule schedule, const at::Tensor& sigma);

/// Returns the timesteps of a discrete schedule, vp_linear. Throws Error(failed) for continuous schedules.
VpSchedule timesteps_of(Schedule schedule);

/// Noise distribution of training (EDM table 1). edm: ln sigma ~ N(mean, deviation^2). vp: sigma(t) with
/// t ~ U(eps_t, 1). ve: ln sigma ~ U(ln 0.02, ln 100). flow: sigma(t) with t ~ U(eps_t, 1 - eps_t).
/// vp_linear: one of the timesteps.
struct NoiseDistribution {
  double mean = -1.2;
  double deviation = 1.2;
  Schedule kind = Schedule::edm;

  /// Draws a noise level.
  double sigma(Random& random) const;
};

}  // namespace diffit::diffusion

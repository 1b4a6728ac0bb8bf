// Variance-preserving process with discrete steps (Ho, Jain, Abbeel 2020, "Denoising diffusion probabilistic
// models"; Nichol and Dhariwal 2021, "Improved DDPM"): q(x_t | x_0) = N(sqrt(abar_t) x_0, (1 - abar_t) I).
// All coefficients are float64; the symbols are those of the papers.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "base/layers.h"

namespace diffit::diffusion {

/// Schedule of `size()` steps; index i = 0 is the least noisy. In the original schedule, timesteps[i] = i; a
/// respaced one keeps a subset, with betas that give the same abar at the timesteps it keeps.
struct VpSchedule {
  std::vector<std::int64_t> timesteps;         // t in the original process, which the network receives
  std::vector<double> beta;                    // beta_i = 1 - abar_i / abar_{i-1}
  std::vector<double> alpha_bar;               // abar_i, decreasing, in (0, 1)
  std::vector<double> posterior_variance;      // beta~_i = beta_i (1 - abar_{i-1}) / (1 - abar_i); 0 at i = 0
  std::vector<double> posterior_log_variance;  // its logarithm; at i = 0 the value of i = 1
  std::vector<double> posterior_x0;            // q(x_{i-1} | x_i, x_0) has mean posterior_x0 x_0
  std::vector<double> posterior_xt;            //   + posterior_xt x_i (DDPM eq. 7)

  /// Betas from 1e-4 to 0.02 in equal steps (DDPM section 4), scaled by 1000 / steps. Throws Error(invalid)
  /// if steps < 2.
  static VpSchedule linear(std::int64_t steps = 1000);

  /// Keeps `steps` of the timesteps, including the first and the last, at equal distances rounded half to
  /// even. Follows the rule of guided-diffusion for one section, with the same order of accumulation. Throws
  /// Error(invalid) unless 2 <= steps <= size().
  VpSchedule respaced(std::int64_t steps) const;

  /// Keeps the timesteps at these indices, which must be increasing.
  VpSchedule kept(const std::vector<std::int64_t>& indices) const;

  std::int64_t size() const { return static_cast<std::int64_t>(beta.size()); }
  /// Returns abar_{i-1}, or 1 for i = 0.
  double alpha_bar_before(std::int64_t i) const {
    return i == 0 ? 1 : alpha_bar[static_cast<std::size_t>(i) - 1];
  }
  /// Returns sqrt((1 - abar_i) / abar_i), the noise level after dividing x by sqrt(abar_i) (the VE
  /// parameterization).
  double sigma(std::int64_t i) const;

  /// Learned variance range (Improved DDPM eq. 15): f log beta_i + (1 - f) log beta~_i with f = (v + 1) / 2,
  /// for network channels v of any shape; the dtype is kept.
  at::Tensor log_variance(const at::Tensor& v, std::int64_t i) const;
};

/// Returns the index of the schedule whose sigma is nearest to `sigma`.
std::int64_t nearest_step(const VpSchedule& schedule, double sigma);

/// x_t = sqrt(abar) x_0 + sqrt(1 - abar) noise: x0, noise [B, ...] of the same dtype, t [B] int64 in
/// 0..size() - 1 (indices of the schedule) -> [B, ...].
at::Tensor noised(const VpSchedule& schedule, const at::Tensor& x0, const at::Tensor& noise,
                  const at::Tensor& t);

/// The same with the values of sqrt(abar) and sqrt(1 - abar) at every index, [size()] each, of the dtype and
/// on the device of x0.
at::Tensor noised(const at::Tensor& signal, const at::Tensor& deviation, const at::Tensor& x0,
                  const at::Tensor& noise, const at::Tensor& t);

/// Returns the values as a tensor [size()] of the dtype and on the device of `like`.
at::Tensor table_of(const std::vector<double>& values, const at::Tensor& like);
/// Returns values[t[b]] as [B, 1, ..., 1] with the dtype, device and rank of `like`.
at::Tensor at_steps(const std::vector<double>& values, const at::Tensor& t, const at::Tensor& like);
/// The same for values [size()] of the dtype and on the device of `like`.
at::Tensor at_steps(const at::Tensor& values, const at::Tensor& t, const at::Tensor& like);

}  // namespace diffit::diffusion

// The variance-preserving process on discrete steps (Ho, Jain, Abbeel 2020, "Denoising diffusion
// probabilistic models"; Nichol and Dhariwal 2021, "Improved DDPM"): q(x_t | x_0) = N(sqrt(abar_t) x_0,
// (1 - abar_t) I). Everything here is float64; the symbols are the papers'.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace diffit {

/// A schedule of `size()` steps, index i = 0 the least noisy. The original one has timesteps[i] = i; a
/// respaced one keeps some of them, with betas that give the same abar there.
struct VpSchedule {
  std::vector<std::int64_t> timesteps;         // t in the original process: what the network is told
  std::vector<double> beta;                    // beta_i = 1 - abar_i / abar_{i-1}
  std::vector<double> alpha_bar;               // abar_i, falling in (0, 1)
  std::vector<double> posterior_variance;      // beta~_i = beta_i (1 - abar_{i-1}) / (1 - abar_i); 0 at i = 0
  std::vector<double> posterior_log_variance;  // its logarithm; at i = 0 that of i = 1
  std::vector<double> posterior_x0;            // q(x_{i-1} | x_i, x_0) has the mean posterior_x0 x_0
  std::vector<double> posterior_xt;            //   + posterior_xt x_i (DDPM eq. 7)

  /// Betas from 1e-4 to 0.02 in equal steps (DDPM section 4), both times 1000 / steps. 2 <= steps.
  static VpSchedule linear(std::int64_t steps = 1000);

  /// `steps` of this schedule's timesteps, first and last among them, at equal distances rounded half to even
  /// (guided-diffusion's rule for one section; numbers are accumulated as there). 2 <= steps <= size().
  VpSchedule respaced(std::int64_t steps) const;

  /// The timesteps of this schedule at these indices, which rise.
  VpSchedule kept(const std::vector<std::int64_t>& indices) const;

  std::int64_t size() const { return static_cast<std::int64_t>(beta.size()); }
  double alpha_bar_before(std::int64_t i) const {
    return i == 0 ? 1 : alpha_bar[static_cast<std::size_t>(i) - 1];
  }
  /// sqrt((1 - abar) / abar): the noise level once x is divided by sqrt(abar) (the VE view).
  double sigma(std::int64_t i) const;

  /// The learned variance range (Improved DDPM eq. 15): f log beta_i + (1 - f) log beta~_i, f = (v + 1) / 2,
  /// of network channels v of any shape; its type is kept.
  at::Tensor log_variance(const at::Tensor& v, std::int64_t i) const;
};

/// x_t = sqrt(abar) x_0 + sqrt(1 - abar) noise: x0, noise [B, ...] of one type, t [B] int64 in 0..size()-1
/// (indices of the schedule) -> [B, ...].
at::Tensor noised(const VpSchedule& schedule, const at::Tensor& x0, const at::Tensor& noise,
                  const at::Tensor& t);

/// values[t[b]] as [B, 1, ..., 1], of the type, device and rank of `like`.
at::Tensor at_steps(const std::vector<double>& values, const at::Tensor& t, const at::Tensor& like);

}  // namespace diffit

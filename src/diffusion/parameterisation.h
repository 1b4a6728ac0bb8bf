// What a network predicts, as data: the quantity, the noise schedule, and whether the variance is learned.
// Losses and samplers take it; it is stored in the configuration of a model.
//
// In the variance-exploding view x = x_0 + sigma n, the denoiser is D(x; sigma) = c_skip x + c_out F with the
// network's output F (EDM eq. 7). c_skip and c_out depend only on the quantity that F estimates; alpha = 1 /
// sqrt(1 + sigma^2) and s = sigma alpha are the coefficients of the variance-preserving process x_t = alpha
// x_0 + s n:
//
//   prediction  F estimates       c_skip                           c_out
//   x0          x_0               0                                1
//   eps         n                 1                                -sigma                (Ho et al. 2020)
//   v           alpha n - s x_0   alpha^2                          -s                    (Salimans and Ho
//   2022) velocity    n - x_0           1 / (1 + sigma)                  -sigma / (1 + sigma)  (Lipman et al.
//   2023) edm         EDM's F           sd^2 / (sigma^2 + sd^2)          sigma sd / sqrt(sigma^2 + sd^2)
//
// with sd = sigma_data. On the schedule ve, eps is -n, which is the sign of EDM table 1.
#pragma once

#include "diffusion/schedule.h"
#include "nn/diffit/config.h"

namespace diffit::diffusion {

struct Parameterisation {
  double sigma_data = 0.5;  // standard deviation of the data; used by edm
  Schedule schedule = Schedule::edm;
  Prediction prediction = Prediction::edm;
  bool learned_variance = false;  // the channels of the prediction are followed by as many for the variance

  /// Each result has the shape and dtype of sigma, [B] float32 or float64 > 0.
  at::Tensor c_skip(const at::Tensor& sigma) const;
  at::Tensor c_out(const at::Tensor& sigma) const;
  at::Tensor c_in(const at::Tensor& sigma) const;
  at::Tensor c_noise(const at::Tensor& sigma) const;

  double c_skip(double sigma) const;
  double c_out(double sigma) const;

  /// The estimated quantity is target_x0 x_0 + target_noise n.
  double target_x0(double sigma) const { return (1 - c_skip(sigma)) / c_out(sigma); }
  double target_noise(double sigma) const { return -c_skip(sigma) * sigma / c_out(sigma); }

  /// Error of the noise estimate (x - D) / sigma for an error of 1 in F.
  double noise_error(double sigma) const { return -c_out(sigma) / sigma; }

  /// Returns the noise estimate (x - D) / sigma for the output F at x_t = x / sqrt(1 + sigma^2): both
  /// [B, C, ...] of the same dtype. F itself if the network predicts eps.
  at::Tensor noise_of(const at::Tensor& output, const at::Tensor& x_t, double sigma) const;
};

/// Returns the parameterisation of a model from its configuration, which must be valid.
Parameterisation parameterisation_of(const ImageConfig& config);
Parameterisation parameterisation_of(const LatentConfig& config);

}  // namespace diffit::diffusion

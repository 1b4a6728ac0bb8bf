// Training loss of latent DiffiT: L_hybrid of Nichol and Dhariwal 2021 ("Improved DDPM", section 3.1), as
// implemented by ADM and DiT, for every predicted quantity.
#pragma once

#include "diffusion/parameterisation.h"

namespace diffit::diffusion {

/// Loss terms per sample, each [B] with the dtype of x0. `mean` is the scalar to be minimized.
struct HybridLoss {
  at::Tensor mse;  // squared error of the predicted quantity, mean over the elements of a sample
  at::Tensor vlb;  // term of the variational bound in bits per element, before weighting; undefined if the
                   // variance is not learned
  at::Tensor per_sample;  // mse + weight * vlb
  at::Tensor mean;
};

/// What the loss takes from the schedule at every index: [size()] each. Made once for a training, so that a
/// step copies nothing to the device.
struct VpLossTables {
  at::Tensor signal, deviation;        // sqrt(abar), sqrt(1 - abar)
  at::Tensor target_x0, target_noise;  // coefficients of the target of the prediction
  at::Tensor x0_error, mean_error;     // error of x_0 and of the posterior's mean per error of the prediction
  at::Tensor log_low, log_high;        // range of the log variance

  /// Of the dtype and on the device of `like`.
  VpLossTables(const Parameterisation& p, const VpSchedule& schedule, const at::Tensor& like);
};

/// Returns L_simple + weight * L_vlb, or L_simple alone if the variance is not learned. The mean is detached
/// in L_vlb, so that L_vlb trains only the variance. p: parameterisation of the network; its schedule is
/// `schedule` output [B, 2C, ...]: the prediction (of eps: eps_theta), then the position v of the variance in
/// its range;
///   [B, C, ...] if the variance is not learned (float32 or float64)
/// x0, noise [B, C, ...]: same dtype as output; x_t = noised(schedule, x0, noise, t) was the network's input
/// t [B] int64: indices of the schedule, on the same device
/// vlb_weight: 1 as in DiT and in ADM's runs with 1000 steps; ADM's "rescaled" loss uses size() / 1000
HybridLoss hybrid_loss(const Parameterisation& p, const VpSchedule& schedule, const at::Tensor& output,
                       const at::Tensor& x0, const at::Tensor& noise, const at::Tensor& t,
                       double vlb_weight = 1);
/// The same with the tables of the schedule, of the dtype and on the device of the output.
HybridLoss hybrid_loss(const Parameterisation& p, const VpLossTables& tables, const at::Tensor& output,
                       const at::Tensor& x0, const at::Tensor& noise, const at::Tensor& t,
                       double vlb_weight = 1);

/// Elementwise KL(N(mean_1, exp(log_variance_1)) || N(mean_2, exp(log_variance_2))) in nats.
at::Tensor gaussian_kl(const at::Tensor& mean_1, const at::Tensor& log_variance_1, const at::Tensor& mean_2,
                       const at::Tensor& log_variance_2);

/// Log probability in nats that N(mean, deviation^2) assigns to the bin of width 1/127.5 around x; the first
/// and last bins are open (DDPM eq. 13). As in ADM, the normal distribution function is its tanh
/// approximation and probabilities are at least 1e-12. `centred` = x - mean; x in [-1, 1]. Elementwise.
at::Tensor discretised_log_likelihood(const at::Tensor& x, const at::Tensor& centred,
                                      const at::Tensor& log_deviation);

}  // namespace diffit::diffusion

// The loss that latent DiffiT is trained with: L_hybrid of Nichol and Dhariwal 2021 ("Improved DDPM", section
// 3.1), as ADM and DiT compute it.
#pragma once

#include "diffusion/vp.h"

namespace diffit {

/// Per sample, all [B], of the type of x0; `mean` is their scalar mean, what is to be minimised.
struct HybridLoss {
  at::Tensor mse;         // |eps_theta - noise|^2, mean over the numbers of a sample
  at::Tensor vlb;         // the step's term of the variational bound in bits a number, before any weight
  at::Tensor per_sample;  // mse + weight * vlb
  at::Tensor mean;
};

/// L_simple + weight * L_vlb, where L_vlb trains the variance alone: the mean in it is detached.
///   output [B, 2C, ...]: eps_theta, then the variance's position v in its range (float32 or float64)
///   x0, noise [B, C, ...]: of output's type; x_t = noised(schedule, x0, noise, t) was the network's input
///   t [B] int64: indices of the schedule, on the device of the others
///   vlb_weight: 1 as in DiT and in ADM's runs with 1000 steps; ADM's "rescaled" loss is size() / 1000
HybridLoss hybrid_loss(const VpSchedule& schedule, const at::Tensor& output, const at::Tensor& x0,
                       const at::Tensor& noise, const at::Tensor& t, double vlb_weight = 1);

/// KL(N(mean_1, exp(log_variance_1)) || N(mean_2, exp(log_variance_2))) in nats, number by number.
at::Tensor gaussian_kl(const at::Tensor& mean_1, const at::Tensor& log_variance_1, const at::Tensor& mean_2,
                       const at::Tensor& log_variance_2);

/// log of the probability, in nats, that N(mean, deviation^2) gives to the 1/127.5-wide bin around x, the
/// first and last bins open (DDPM eq. 13; the normal distribution function by its tanh approximation, and no
/// probability below 1e-12, as ADM). `centred` = x - mean; x in [-1, 1].
at::Tensor discretised_log_likelihood(const at::Tensor& x, const at::Tensor& centred,
                                      const at::Tensor& log_deviation);

}  // namespace diffit

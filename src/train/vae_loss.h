// The loss of the autoencoder's training.
#pragma once

#include <ATen/core/Tensor.h>

namespace diffit {

/// Means over the numbers of a picture and the batch; scalars.
struct VaeLoss {
  at::Tensor l1, l2;  // |x' - x|, (x' - x)^2
  at::Tensor kl;      // KL(q(z | x) || N(0, I)) in nats a number of the picture
  at::Tensor all;     // l1 + l2_weight l2 + kl_weight kl
};

/// A reconstruction under an L1 and an L2 error with a weakly regularised posterior (Kingma and Welling 2014,
/// appendix B; the weight as in Rombach et al. 2022, section 3.1, without their perceptual and adversarial
/// terms).
///   x, reconstruction [B, C, H, W] float32; moments [B, 2L, h, w] float32: mean, log variance
VaeLoss vae_loss(const at::Tensor& x, const at::Tensor& reconstruction, const at::Tensor& moments,
                 double l2_weight, double kl_weight);

/// mean + deviation e of moments [B, 2L, h, w]; e [B, L, h, w].
at::Tensor posterior_sample(const at::Tensor& moments, const at::Tensor& e);

}  // namespace diffit

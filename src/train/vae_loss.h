// Training loss of the autoencoder.
#pragma once

#include <ATen/core/Tensor.h>

#include "base/layers.h"

namespace diffit::training {

/// Loss terms, each a scalar averaged over the elements of an image and the batch.
struct VaeLoss {
  at::Tensor l1, l2;  // |x' - x|, (x' - x)^2
  at::Tensor kl;      // KL(q(z | x) || N(0, I)) in nats per element of the image
  at::Tensor all;     // l1 + l2_weight l2 + kl_weight kl
};

/// Sum of L1 and L2 reconstruction errors and a small KL term (Kingma and Welling 2014, appendix B; weight as
/// in Rombach et al. 2022, section 3.1, without their perceptual and adversarial terms). x, reconstruction
/// [B, C, H, W] float32; moments [B, 2L, h, w] float32: mean, log variance.
VaeLoss vae_loss(const at::Tensor& x, const at::Tensor& reconstruction, const at::Tensor& moments,
                 double l2_weight, double kl_weight);

/// Returns mean + standard deviation * e for moments [B, 2L, h, w] and e [B, L, h, w].
at::Tensor posterior_sample(const at::Tensor& moments, const at::Tensor& e);

}  // namespace diffit::training

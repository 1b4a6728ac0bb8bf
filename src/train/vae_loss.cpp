#include "train/vae_loss.h"

namespace diffit::training {

VaeLoss vae_loss(const at::Tensor& x, const at::Tensor& reconstruction, const at::Tensor& moments,
                 double l2_weight, double kl_weight) {
  const std::vector<at::Tensor> halves = moments.chunk(2, 1);
  const at::Tensor &mean = halves[0], &log_variance = halves[1], d = reconstruction - x;
  VaeLoss loss;
  loss.l1 = d.abs().mean();
  loss.l2 = d.square().mean();
  loss.kl =
      0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum() / static_cast<double>(x.numel());
  loss.all = loss.l1 + l2_weight * loss.l2 + kl_weight * loss.kl;
  return loss;
}

at::Tensor posterior_sample(const at::Tensor& moments, const at::Tensor& e) {
  const std::vector<at::Tensor> halves = moments.chunk(2, 1);
  return halves[0] + (halves[1] / 2).exp() * e;
}

}  // namespace diffit::training

#include "diffusion/edm.h"

#include <cmath>

namespace diffit {

namespace {

/// [B] -> [B, 1, ..., 1], to multiply pictures by.
at::Tensor per_picture(const at::Tensor& coefficient, const at::Tensor& pictures) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(pictures.dim()), 1);
  shape[0] = -1;
  return coefficient.reshape(shape);
}

}  // namespace

at::Tensor Preconditioning::c_skip(const at::Tensor& sigma) const {
  return sigma_data * sigma_data / (sigma.square() + sigma_data * sigma_data);
}
at::Tensor Preconditioning::c_out(const at::Tensor& sigma) const {
  return sigma * sigma_data / (sigma.square() + sigma_data * sigma_data).sqrt();
}
at::Tensor Preconditioning::c_in(const at::Tensor& sigma) const {
  return 1 / (sigma.square() + sigma_data * sigma_data).sqrt();
}
at::Tensor Preconditioning::c_noise(const at::Tensor& sigma) {
  return sigma.log() / 4;
}

at::Tensor denoised(const RawNetwork& network, const Preconditioning& p, const at::Tensor& x,
                    const at::Tensor& sigma) {
  const at::Tensor f = network(per_picture(p.c_in(sigma), x) * x, p.c_noise(sigma)).to(x.scalar_type());
  return at::addcmul(per_picture(p.c_skip(sigma), x) * x, per_picture(p.c_out(sigma), x), f);
}

double NoiseDistribution::sigma(Random& random) const {
  return std::exp(random.normal() * deviation + mean);
}

at::Tensor edm_loss(const RawNetwork& network, const Preconditioning& p, const at::Tensor& y,
                    const at::Tensor& n, const at::Tensor& sigma) {
  const at::Tensor d = denoised(network, p, y + n, sigma);
  const at::Tensor lambda = p.c_out(sigma).square().reciprocal();
  return (per_picture(lambda, y) * (d - y).square()).mean();
}

}  // namespace diffit

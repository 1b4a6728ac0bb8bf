#include "diffusion/edm.h"

#include <vector>

namespace diffit::diffusion {

namespace {

/// Reshapes a coefficient [B] to [B, 1, ..., 1], so that it multiplies whole images.
at::Tensor per_image(const at::Tensor& coefficient, const at::Tensor& images) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(images.dim()), 1);
  shape[0] = -1;
  return coefficient.reshape(shape);
}

}  // namespace

at::Tensor denoised(const RawNetwork& network, const Parameterisation& p, const at::Tensor& x,
                    const at::Tensor& sigma) {
  const at::Tensor f = network(per_image(p.c_in(sigma), x) * x, p.c_noise(sigma)).to(x.scalar_type());
  return at::addcmul(per_image(p.c_skip(sigma), x) * x, per_image(p.c_out(sigma), x), f);
}

at::Tensor edm_loss(const RawNetwork& network, const Parameterisation& p, const at::Tensor& y,
                    const at::Tensor& n, const at::Tensor& sigma) {
  const at::Tensor d = denoised(network, p, y + n, sigma);
  const at::Tensor lambda = p.c_out(sigma).square().reciprocal();
  return (per_image(lambda, y) * (d - y).square()).mean();
}

}  // namespace diffit::diffusion

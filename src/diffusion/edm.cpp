#include "diffusion/edm.h"

#include <cmath>

namespace diffit::diffusion {

namespace {

/// Reshapes a coefficient [B] to [B, 1, ..., 1], so that it multiplies whole images.
at::Tensor per_image(const at::Tensor& coefficient, const at::Tensor& images) {
  std::vector<std::int64_t> shape(static_cast<std::size_t>(images.dim()), 1);
  shape[0] = -1;
  return coefficient.reshape(shape);
}

}  // namespace

at::Tensor Preconditioning::c_skip(const at::Tensor& sigma) const {
  if (kind != Precondition::edm) return at::ones_like(sigma);
  return sigma_data * sigma_data / (sigma.square() + sigma_data * sigma_data);
}
at::Tensor Preconditioning::c_out(const at::Tensor& sigma) const {
  if (kind == Precondition::vp) return -sigma;
  if (kind == Precondition::ve) return sigma;
  return sigma * sigma_data / (sigma.square() + sigma_data * sigma_data).sqrt();
}
at::Tensor Preconditioning::c_in(const at::Tensor& sigma) const {
  if (kind == Precondition::vp) return 1 / (sigma.square() + 1).sqrt();
  if (kind == Precondition::ve) return at::ones_like(sigma);
  return 1 / (sigma.square() + sigma_data * sigma_data).sqrt();
}
at::Tensor Preconditioning::c_noise(const at::Tensor& sigma) const {
  if (kind == Precondition::vp) return (VpProcess::kSteps - 1) * VpProcess::t(sigma);
  if (kind == Precondition::ve) return (sigma / 2).log();
  return sigma.log() / 4;
}

double VpProcess::sigma(double t) {
  return std::sqrt(std::expm1(kBetaD / 2 * t * t + kBetaMin * t));
}
at::Tensor VpProcess::t(const at::Tensor& sigma) {
  return ((kBetaMin * kBetaMin + 2 * kBetaD * sigma.square().log1p()).sqrt() - kBetaMin) / kBetaD;
}

namespace {

constexpr SigmaRange kVeRange{0.02, 100};

}  // namespace

SigmaRange sigma_range(Precondition kind) {
  switch (kind) {
    case Precondition::vp:
      return {VpProcess::sigma(VpProcess::kEpsT), VpProcess::sigma(1)};
    case Precondition::ve:
      return kVeRange;
    case Precondition::edm:
      break;
  }
  return {0, HUGE_VAL};
}

at::Tensor denoised(const RawNetwork& network, const Preconditioning& p, const at::Tensor& x,
                    const at::Tensor& sigma) {
  const at::Tensor f = network(per_image(p.c_in(sigma), x) * x, p.c_noise(sigma)).to(x.scalar_type());
  return at::addcmul(per_image(p.c_skip(sigma), x) * x, per_image(p.c_out(sigma), x), f);
}

double NoiseDistribution::sigma(Random& random) const {
  if (kind == Precondition::vp) {
    return VpProcess::sigma(VpProcess::kEpsT + (1 - VpProcess::kEpsT) * random.uniform());
  }
  if (kind == Precondition::ve) {
    return kVeRange.least * std::pow(kVeRange.most / kVeRange.least, random.uniform());
  }
  return std::exp(random.normal() * deviation + mean);
}

at::Tensor edm_loss(const RawNetwork& network, const Preconditioning& p, const at::Tensor& y,
                    const at::Tensor& n, const at::Tensor& sigma) {
  const at::Tensor d = denoised(network, p, y + n, sigma);
  const at::Tensor lambda = p.c_out(sigma).square().reciprocal();
  return (per_image(lambda, y) * (d - y).square()).mean();
}

}  // namespace diffit::diffusion

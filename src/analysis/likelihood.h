// How likely a model finds pictures: the likelihood of the probability-flow ODE (Song et al. 2021, section
// 4.3), and from it a bound for 8-bit pictures.
#pragma once

#include <vector>

#include "diffusion/sampler.h"

namespace diffit {

/// ln p(z), p the density that the probability-flow ODE dx/dsigma = (x - D(x; sigma)) / sigma carries from
/// N(0, sigma_max^2) at the largest noise level to the smallest one:
///   ln p(z) = ln N(x(sigma_max); 0, sigma_max^2) + integral of (d - tr dD/dx) d ln sigma,   x(sigma_min) = z
/// The trace is Hutchinson's estimate with Rademacher vectors of (seed, picture first + i), one a picture,
/// kept along the path. Heun's method; the integral by the trapezoid rule.
///   z [B, C, H, W]; sigmas rise, two at least; D must be differentiable by autograd
/// -> [B] float64, in nats. 2 (sigmas - 1) evaluations, each with its gradient.
at::Tensor log_density(const Denoiser& denoise, const at::Tensor& z, const std::vector<double>& sigmas,
                       std::uint64_t seed, std::int64_t first);

/// An upper bound on -log2 P(y) a number, of pictures y with 256 levels (y = level / 127.5 - 1), in bits: the
/// variational bound of a picture y seen through z = y + sigma_min n, as in Kingma et al. 2021 (VDM),
///   -ln P(y) <= E[ln q(z | y) - ln p(z) - ln P(y | z)],
/// q = N(y, sigma_min^2), P(y | z) the levels' shares of q's densities at z. One draw of n a picture.
///   y [B, C, H, W] float32 -> [B] float64
at::Tensor bits_a_number(const Denoiser& denoise, const at::Tensor& y, const std::vector<double>& sigmas,
                         std::uint64_t seed, std::int64_t first);

}  // namespace diffit
